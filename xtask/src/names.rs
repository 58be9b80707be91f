//! From AWS's names to Rust's.

use std::collections::HashSet;

/// Words of a name: split at punctuation and where case changes. `SSEKMSKeyId` → sse kms? No:
/// `ssekms`, `key`, `id`; acronyms that touch cannot be told apart.
pub fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut upper = false;
    for (index, &letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            if letter == '*' {
                words.push(std::mem::take(&mut current));
                current = "All".to_owned();
            }
            words.push(std::mem::take(&mut current));
            upper = false;
            continue;
        }
        let next_lower = letters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        let boundary = letter.is_ascii_uppercase() && !current.is_empty() && (!upper || next_lower);
        if boundary {
            words.push(std::mem::take(&mut current));
        }
        if letter.is_ascii_alphabetic() {
            upper = letter.is_ascii_uppercase();
        }
        current.push(letter.to_ascii_lowercase());
    }
    words.push(current);
    words.retain(|word| !word.is_empty());
    words
}

pub fn snake(name: &str) -> String {
    words(name).join("_").to_lowercase()
}

pub fn screaming(name: &str) -> String {
    words(name).join("_").to_uppercase()
}

pub fn pascal(name: &str) -> String {
    let joined: String = words(name).iter().map(|word| capital(word)).collect();
    match joined.chars().next() {
        None => "Empty".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("V{joined}"),
        Some(_) => joined,
    }
}

/// The model's name as a type: only its first letter is ours.
pub fn capital(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

pub fn field(name: &str) -> String {
    let name = snake(name);
    match name.as_str() {
        "as" | "async" | "await" | "break" | "const" | "continue" | "dyn" | "else" | "enum"
        | "extern" | "false" | "fn" | "for" | "if" | "impl" | "in" | "let" | "loop" | "match"
        | "mod" | "move" | "mut" | "pub" | "ref" | "return" | "static" | "struct" | "trait"
        | "true" | "type" | "unsafe" | "use" | "where" | "while" | "abstract" | "box" | "do"
        | "final" | "macro" | "override" | "priv" | "try" | "typeof" | "unsized" | "virtual"
        | "yield" | "gen" => format!("r#{name}"),
        "self" | "super" | "crate" => format!("{name}_"),
        _ => name,
    }
}

/// Hands out each name once; a second asker gets an underscore or a number behind it.
#[derive(Default)]
pub struct Unique(HashSet<String>);

impl Unique {
    pub fn take(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut number = 2;
        while !self.0.insert(candidate.clone()) {
            candidate = format!("{name}{number}");
            number += 1;
        }
        candidate
    }

    pub fn reserve(&mut self, names: &[&str]) {
        self.0.extend(names.iter().map(|n| (*n).to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::{field, pascal, screaming, snake};

    #[test]
    fn names_read_as_rust() {
        for (from, to) in [
            ("TableName", "table_name"),
            ("SSEKMSKeyId", "ssekms_key_id"),
            ("ETag", "e_tag"),
            ("ChecksumCRC32C", "checksum_crc32c"),
            ("ChecksumCRC64NVME", "checksum_crc64nvme"),
            ("S3Bucket", "s3_bucket"),
            ("PublicAccessBlockConfiguration", "public_access_block_configuration"),
            ("x-amz-id-2", "x_amz_id_2"),
        ] {
            assert_eq!(snake(from), to, "{from}");
        }
        assert_eq!(field("Type"), "r#type");
        for (from, to) in [
            ("python3.9", "Python39"),
            ("nodejs4.3-edge", "Nodejs43Edge"),
            ("PAY_PER_REQUEST", "PayPerRequest"),
            ("s3:ObjectCreated:*", "S3ObjectCreatedAll"),
            ("1", "V1"),
            ("aws:kms", "AwsKms"),
        ] {
            assert_eq!(pascal(from), to, "{from}");
        }
        assert_eq!(screaming("arnType"), "ARN_TYPE");
    }
}
