//! `record!` and `record_enum!`: structs and enums that can be stored. Rules in [`record`](crate::record).

/// Declares structs whose fields carry numbers.
///
/// ```
/// use sereno_store::{record, Record};
/// record! {
///     #[derive(Eq)]
///     pub struct Address { 1 => street: String, 2 => number: u32 }
///     pub struct Person {
///         1 => name: String,
///         2 => addresses: Vec<Address>,
///         3 => nick: Option<String>,
///         4 => tags: std::collections::BTreeMap<String, Vec<String>>,
///     }
/// }
/// let person = Person { name: "Ada".into(), nick: Some(String::new()), ..Default::default() };
/// assert_eq!(Person::decode(&person.to_bytes().into()).unwrap(), person);
/// ```
///
/// Derives `Clone`, `Debug`, `Default`, `PartialEq`; all fields are `pub`. A list of lists needs
/// a record between.
#[macro_export]
macro_rules! record {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $( $(#[$field_meta:meta])* $number:literal => $field:ident : $ty:ty ),* $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name { $( $(#[$field_meta])* pub $field: $ty ),* }

        const _: () = $crate::record::assert_numbers(&[$($number),*]);

        impl $name {
            #[allow(unused_variables, clippy::ptr_arg)]
            fn write_fields(&self, out: &mut Vec<u8>) {
                $( $crate::record::Field::write(&self.$field, $number, out); )*
            }

            fn read_fields(piece: $crate::record::Piece<'_>) -> $crate::Result<Self> {
                #[allow(unused_mut)]
                let mut record = Self::default();
                $crate::record::read_fields(piece, |number, raw| match number {
                    $( $number => $crate::record::Field::merge(&mut record.$field, raw), )*
                    _ => { let _ = raw; Ok(()) }
                })?;
                Ok(record)
            }
        }

        $crate::record!(@traits $name);
    )+};

    (@traits $name:ident) => {
        impl $crate::record::Record for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.write_fields(out);
            }

            fn decode(bytes: &$crate::__Bytes) -> $crate::Result<Self> {
                Self::read_fields($crate::record::Piece { root: bytes, bytes })
            }
        }

        impl $crate::record::Value for $name {
            fn is_default(&self) -> bool {
                *self == Self::default()
            }

            fn write(&self, number: u32, out: &mut Vec<u8>) {
                $crate::record::write_nested(number, out, |out| self.write_fields(out));
            }

            fn read(raw: $crate::record::Raw<'_>) -> $crate::Result<Self> {
                Self::read_fields($crate::record::piece(raw)?)
            }
        }
    };
}

/// Declares enums whose variants carry numbers and, if they hold something, one value.
///
/// ```
/// use sereno_store::{record, record_enum, Record};
/// record! { pub struct Queue { 1 => url: String } }
/// record_enum! {
///     #[derive(Copy, Eq)]
///     pub enum Status { 1 => Creating, 2 => Active, 3 => Deleting }
///     pub enum Target { 1 => Nowhere, 2 => Queue(Queue), 3 => Topic(String) }
/// }
/// record! { pub struct Rule { 1 => status: Status, 2 => target: Target } }
/// let rule = Rule { status: Status::Active, target: Target::Topic("t".into()) };
/// assert_eq!(Rule::decode(&rule.to_bytes().into()).unwrap(), rule);
/// assert_eq!(Rule::default().status, Status::Creating);
/// ```
///
/// The variant named first is the default. A variant from a newer version reads as
/// [`Corrupt`](crate::StoreError::Corrupt): a guess would be worse.
#[macro_export]
macro_rules! record_enum {
    ($(
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(#[$first_meta:meta])* $first_number:literal => $first:ident $(($first_ty:ty))?
            $(, $(#[$variant_meta:meta])* $number:literal => $variant:ident $(($ty:ty))? )*
            $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $vis enum $name {
            $(#[$first_meta])* $first $(($first_ty))?,
            $( $(#[$variant_meta])* $variant $(($ty))? ),*
        }

        const _: () = $crate::record::assert_numbers(&[$first_number $(, $number)*]);

        impl Default for $name {
            fn default() -> Self {
                Self::$first $( (<$first_ty>::default()) )?
            }
        }

        impl $name {
            fn write_fields(&self, out: &mut Vec<u8>) {
                match self {
                    Self::$first $( ($crate::record_enum!(@name value $first_ty)) )? => {
                        $crate::record_enum!(@write $first_number, out $(, value, $first_ty)?);
                    }
                    $(
                        Self::$variant $( ($crate::record_enum!(@name value $ty)) )? => {
                            $crate::record_enum!(@write $number, out $(, value, $ty)?);
                        }
                    )*
                }
            }

            fn read_fields(piece: $crate::record::Piece<'_>) -> $crate::Result<Self> {
                let mut read = None;
                $crate::record::read_fields(piece, |number, raw| {
                    read = Some(match number {
                        $first_number => {
                            Self::$first $( (<$first_ty as $crate::record::Value>::read(raw)?) )?
                        }
                        $(
                            $number => {
                                Self::$variant $( (<$ty as $crate::record::Value>::read(raw)?) )?
                            }
                        )*
                        _ => {
                            let _ = raw;
                            return Err($crate::record::unknown_variant(stringify!($name)));
                        }
                    });
                    Ok(())
                })?;
                read.ok_or_else(|| $crate::record::unknown_variant(stringify!($name)))
            }
        }

        $crate::record!(@traits $name);
    )+};

    (@name $value:ident $ty:ty) => { $value };
    (@write $number:literal, $out:ident) => { $crate::record::write_unit($number, $out) };
    (@write $number:literal, $out:ident, $value:ident, $ty:ty) => {
        $crate::record::Value::write($value, $number, $out)
    };
}
