//! Properties that hold for every input.

#![allow(clippy::unwrap_used)]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sereno_ddbexpr::encode::{decode_item, encode_item, key_part, prefix_end, whole_key};
use sereno_ddbexpr::partiql::{Statement, branches};
use sereno_ddbexpr::{
    Condition, Item, Number, Parameter, Placeholders, Projection, Update, Value, key_condition,
};

/// Digits, power of ten and sign of any storable number.
fn number() -> impl Strategy<Value = Number> {
    ("[0-9]{1,38}", -130i32..126, any::<bool>()).prop_filter_map("range", |(digits, e, minus)| {
        let sign = if minus { "-" } else { "" };
        Number::parse(&format!("{sign}0.{digits}e{e}")).ok()
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        "\\PC{0,8}".prop_map(Value::S),
        number().prop_map(Value::N),
        vec(any::<u8>(), 0..8).prop_map(Value::B),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        vec("[a-c]{1,2}", 1..4).prop_map(Value::Ss),
        vec(number(), 1..4).prop_map(Value::Ns),
        vec(vec(any::<u8>(), 0..3), 1..4).prop_map(Value::Bs),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::L),
            btree_map("[a-d]", inner, 0..4).prop_map(|map| Value::M(map.into_iter().collect())),
        ]
    })
}

fn item() -> impl Strategy<Value = Item> {
    btree_map("[a-e]{1,2}", value(), 0..6).prop_map(|map| map.into_iter().collect())
}

/// A number as (negative, decimal digits scaled to 10^-130 .. 10^126): a big-integer model.
fn scaled(number: &Number) -> (bool, Vec<u8>) {
    const LEAD: i32 = 128;
    let (negative, coefficient, exponent) = number.parts();
    let digits = coefficient.to_string();
    let mut cells = vec![0u8; 300];
    for (at, digit) in digits.bytes().enumerate() {
        let power = digits.len() as i32 - 1 - at as i32 + i32::from(exponent);
        cells[(LEAD - power) as usize] = digit - b'0';
    }
    (negative, cells)
}

fn model_add(a: &Number, b: &Number) -> (bool, Vec<u8>) {
    let ((an, ad), (bn, bd)) = (scaled(a), scaled(b));
    if an == bn {
        let mut carry = 0;
        let mut sum = vec![0u8; ad.len()];
        for at in (0..ad.len()).rev() {
            let total = ad[at] + bd[at] + carry;
            (sum[at], carry) = (total % 10, total / 10);
        }
        return (an, sum);
    }
    let (negative, large, small) = if ad >= bd { (an, ad, bd) } else { (bn, bd, ad) };
    let mut borrow = 0i8;
    let mut difference = vec![0u8; large.len()];
    for at in (0..large.len()).rev() {
        let mut total = large[at] as i8 - small[at] as i8 - borrow;
        borrow = i8::from(total < 0);
        if total < 0 {
            total += 10;
        }
        difference[at] = total as u8;
    }
    (negative && difference.iter().any(|digit| *digit != 0), difference)
}

fn significant(cells: &[u8]) -> usize {
    let first = cells.iter().position(|digit| *digit != 0);
    let last = cells.iter().rposition(|digit| *digit != 0);
    first.zip(last).map_or(0, |(first, last)| last - first + 1)
}

/// Conditions over the keys `p` and `s` and one more attribute.
fn condition() -> impl Strategy<Value = String> {
    let text = || prop_oneof![Just("'a'"), Just("'b'"), Just("'c'")];
    let digit = || 0..4i32;
    let leaf = prop_oneof![
        text().prop_map(|v| format!("p = {v}")),
        (text(), text()).prop_map(|(v, w)| format!("p IN [{v}, {w}]")),
        text().prop_map(|v| format!("p <> {v}")),
        (prop_oneof![Just("="), Just("<"), Just(">="), Just("<>")], digit())
            .prop_map(|(op, n)| format!("s {op} {n}")),
        (digit(), digit()).prop_map(|(n, m)| format!("s BETWEEN {} AND {}", n.min(m), n.max(m))),
        (digit(), digit()).prop_map(|(n, m)| format!("s IN [{n}, {m}]")),
        digit().prop_map(|n| format!("x = {n}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" AND "))),
            vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" OR "))),
            inner.prop_map(|one| format!("NOT ({one})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn numbers_print_what_they_read(n in number()) {
        prop_assert_eq!(Number::parse(&n.to_string()), Ok(n));
    }

    #[test]
    fn number_order_is_key_order(a in number(), b in number()) {
        let key = |n: &Number| whole_key(&Value::N(*n)).unwrap();
        prop_assert_eq!(a.cmp(&b), key(&a).cmp(&key(&b)));
    }

    #[test]
    fn near_numbers_keep_key_order(c in 1u64..5000, d in 1u64..5000, e in -4i32..4, f in -4i32..4) {
        let a = Number::parse(&format!("{c}e{e}")).unwrap();
        let b = Number::parse(&format!("{d}e{f}")).unwrap();
        let key = |n: Number| whole_key(&Value::N(n)).unwrap();
        prop_assert_eq!(a.cmp(&b), key(a).cmp(&key(b)));
        prop_assert_eq!(a.negated().cmp(&b.negated()), key(a.negated()).cmp(&key(b.negated())));
    }

    #[test]
    fn sums_are_exact_or_refused(a in number(), b in number()) {
        let (negative, cells) = model_add(&a, &b);
        match a.add(&b) {
            Ok(sum) => prop_assert_eq!(scaled(&sum), (negative, cells)),
            Err(_) => {
                let overflow = cells[..128 - 125].iter().any(|digit| *digit != 0);
                prop_assert!(significant(&cells) > 38 || overflow);
            }
        }
    }

    #[test]
    fn differences_undo_sums(a in -100_000i64..100_000, b in -100_000i64..100_000) {
        let (x, y) = (Number::from_i64(a), Number::from_i64(b));
        prop_assert_eq!(x.add(&y).unwrap().subtract(&y).unwrap(), x);
        prop_assert_eq!(x.add(&y).unwrap(), Number::from_i64(a + b));
    }

    #[test]
    fn key_parts_keep_order_with_anything_after(
        a in vec(0u8..4, 0..5), b in vec(0u8..4, 0..5), x in any::<u8>(), y in any::<u8>()
    ) {
        let part = |bytes: &Vec<u8>, after: u8| {
            let mut out = Vec::new();
            assert!(key_part(&Value::B(bytes.clone()), &mut out));
            out.push(after);
            out
        };
        if a != b {
            prop_assert_eq!(a.cmp(&b), part(&a, x).cmp(&part(&b, y)));
        }
    }

    #[test]
    fn prefixes_end_where_they_should(p in vec(250u8..=255, 1..4), k in vec(250u8..=255, 0..5)) {
        let inside = k >= p && prefix_end(&p).is_none_or(|end| k < end);
        prop_assert_eq!(inside, k.starts_with(&p));
    }

    #[test]
    fn items_survive_storage(item in item()) {
        prop_assert_eq!(decode_item(&encode_item(&item)), Ok(item));
    }

    #[test]
    fn corrupt_items_are_refused_not_fatal(bytes in vec(any::<u8>(), 0..64)) {
        let mut bytes = bytes;
        bytes.insert(0, 1);
        let _ = decode_item(&bytes);
    }

    /// An item that a condition finds lies in exactly one of the parts that are read for it.
    #[test]
    fn every_item_found_lies_in_one_branch(text in condition(), p in 0..3usize, s in 0..4i32, x in 0..4i32) {
        let statement = Statement::parse(&format!("SELECT * FROM t WHERE {text}"), &[]).unwrap();
        let Statement::Select(select) = statement else { panic!("a read") };
        let condition = select.condition.unwrap();
        let mut item = Item::new();
        item.insert("p".to_owned(), Value::S(["a", "b", "c"][p].to_owned()));
        item.insert("s".to_owned(), Value::N(Number::from_i64(i64::from(s))));
        item.insert("x".to_owned(), Value::N(Number::from_i64(i64::from(x))));
        if let Some(branches) = branches(&condition, &["p"], &["s"]) {
            let within = |branch: &Vec<sereno_ddbexpr::legacy::Clause>| branch.iter().all(|clause| clause.holds(&item));
            let count = branches.iter().filter(|branch| within(branch)).count();
            prop_assert!(count <= 1, "{text}: {branches:?}");
            prop_assert!(count == 1 || !condition.holds(&item), "{text}: {branches:?}");
        }
    }

    #[test]
    fn expressions_never_panic(
        text in "[abS#:.\\[\\]()<>=,+\\- 01ETANDORINORsetremoveadd_éx]{0,40}", item in item()
    ) {
        all_parsers(&text, &item);
    }

    #[test]
    fn likely_expressions_never_panic(
        words in vec(prop_oneof![
            Just("a"), Just("b.c"), Just("c[1]"), Just("#n"), Just(":v"), Just(":n"), Just("("),
            Just(")"), Just("and"), Just("or"), Just("not"), Just("between"), Just("in"), Just("="),
            Just("<"), Just(","), Just("size("), Just("contains("), Just("attribute_exists("),
            Just("set"), Just("remove"), Just("add"), Just("delete"), Just("+"), Just("-"),
            Just("if_not_exists("), Just("list_append("), Just("[0]"), Just(".d")
        ], 0..16),
        item in item()
    ) {
        all_parsers(&words.join(" "), &item);
    }
}

fn all_parsers(text: &str, item: &Item) {
    let with = Placeholders::new(
        [("#n".to_owned(), "n".to_owned())],
        [
            (":v".to_owned(), Value::S("v".into())),
            (":n".to_owned(), Value::N(Number::from_i64(-3))),
        ],
    );
    if let Ok(condition) = Condition::parse(Parameter::Condition, text, &with) {
        condition.holds(item);
    }
    if let Ok(projection) = Projection::parse(text, &with) {
        let cut = projection.apply(item);
        assert!(cut.size() <= item.size());
    }
    if let Ok(update) = Update::parse(text, &with) {
        let _ = update.apply(item, true);
    }
    let _ = key_condition::parse(text, &with);
    if let Ok(Statement::Select(select)) = Statement::parse(text, &[Value::Bool(true)]) {
        select.show(item.clone());
    }
    let _ = Statement::parse(&format!("SELECT * FROM t WHERE {text}"), &[]);
    let _ = Statement::parse(&format!("UPDATE t SET {text}"), &[]);
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    let item = Item::new();
    for text in [
        "(".repeat(4096),
        format!("{}a<b{}", "(".repeat(2000), ")".repeat(2000)),
        "not ".repeat(1000) + "a<b",
        format!("a<{}b{}", "size(".repeat(680), ")".repeat(680)),
        format!("set a={}b{}", "if_not_exists(c,".repeat(230), ")".repeat(230)),
        "a<b or ".repeat(580) + "a<b",
    ] {
        all_parsers(&text, &item);
    }
}
