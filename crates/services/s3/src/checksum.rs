//! S3's checksums: computed while bytes pass, compared with what the client said.

use std::collections::BTreeMap;

use crc_fast::CrcAlgorithm;
use sereno_api_s3::{self as api, ChecksumType};
use sereno_base::{base64_decode, base64_encode};
use sereno_kernel::Result;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::errors;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

pub const ALL: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    pub fn parse(name: &str) -> Option<Algorithm> {
        ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }

    /// What a multipart upload's checksum covers unless the client says otherwise.
    pub fn composite_by_default(self) -> bool {
        self != Algorithm::Crc64Nvme
    }

    fn encode(self, value: u64) -> String {
        base64_encode(&value.to_be_bytes()[8 - self.bytes()..])
    }
}

pub struct Hasher {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Hasher {
        let state = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(crc_fast::Digest::new(crc)),
            (None, Algorithm::Sha1) => State::Sha1(Sha1::new()),
            (None, _) => State::Sha256(Sha256::new()),
        };
        Hasher { algorithm, state }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha1(sha) => sha.update(bytes),
            State::Sha256(sha) => sha.update(bytes),
        }
    }

    /// In base64, as it is sent.
    pub fn finish(self) -> (Algorithm, String) {
        let text = match self.state {
            State::Crc(crc) => self.algorithm.encode(crc.finalize()),
            State::Sha1(sha) => base64_encode(&sha.finalize()),
            State::Sha256(sha) => base64_encode(&sha.finalize()),
        };
        (self.algorithm, text)
    }
}

/// The checksum of an upload: of its parts' checksums, or of all its bytes.
pub fn of_parts<'a>(
    algorithm: Algorithm,
    composite: bool,
    parts: impl Iterator<Item = (&'a str, u64)>,
) -> Option<String> {
    if composite {
        let mut hasher = Hasher::new(algorithm);
        let mut count = 0;
        for (sum, _) in parts {
            hasher.update(&base64_decode(sum)?);
            count += 1;
        }
        return Some(format!("{}-{count}", hasher.finish().1));
    }
    let crc = algorithm.crc()?;
    let mut whole: Option<u64> = None;
    for (sum, size) in parts {
        let part = base64_decode(sum)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        whole = Some(match whole {
            None => part,
            Some(before) => crc_fast::checksum_combine(crc, before, part, size),
        });
    }
    whole.map(|value| algorithm.encode(value))
}

/// Checksum members of an input, by algorithm.
pub type Given = Vec<(&'static str, String)>;

/// Collects them from any input that has them.
macro_rules! given {
    ($input:expr) => {{
        let all = [
            ("CRC32", &$input.checksum_crc32),
            ("CRC32C", &$input.checksum_crc32c),
            ("CRC64NVME", &$input.checksum_crc64nvme),
            ("SHA1", &$input.checksum_sha1),
            ("SHA256", &$input.checksum_sha256),
            ("SHA512", &$input.checksum_sha512),
            ("MD5", &$input.checksum_md5),
            ("XXHASH64", &$input.checksum_xxhash64),
            ("XXHASH3", &$input.checksum_xxhash3),
            ("XXHASH128", &$input.checksum_xxhash128),
        ];
        let given: $crate::checksum::Given =
            all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        given
    }};
}

/// Sets the checksum members of any output that has them.
macro_rules! show {
    ($output:expr, $sums:expr) => {{
        let sums: &::std::collections::BTreeMap<String, String> = $sums;
        $output.checksum_crc32 = sums.get("CRC32").cloned();
        $output.checksum_crc32c = sums.get("CRC32C").cloned();
        $output.checksum_crc64nvme = sums.get("CRC64NVME").cloned();
        $output.checksum_sha1 = sums.get("SHA1").cloned();
        $output.checksum_sha256 = sums.get("SHA256").cloned();
    }};
}

pub(crate) use {given, show};

/// What the client said of the bytes it sends.
#[derive(Debug, Default)]
pub struct Expected {
    pub algorithm: Option<Algorithm>,
    /// May follow in a trailer.
    pub value: Option<String>,
    pub md5: Option<String>,
}

impl Expected {
    pub fn new(
        declared: Option<&api::ChecksumAlgorithm>,
        given: Given,
        md5: Option<&str>,
    ) -> Result<Expected> {
        if given.len() > 1 {
            return Err(errors::request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                 allowed.",
            ));
        }
        if let Some(md5) = md5
            && base64_decode(md5).is_none_or(|bytes| bytes.len() != 16)
        {
            return Err(errors::digest(md5));
        }
        let declared = declared.map(|d| supported(d.as_str())).transpose()?;
        let mut expected =
            Expected { algorithm: declared, value: None, md5: md5.map(str::to_owned) };
        if let Some((name, value)) = given.into_iter().next() {
            let algorithm = supported(name)?;
            check_form(algorithm, &value)?;
            expected.algorithm = Some(algorithm);
            expected.value = Some(value);
        }
        Ok(expected)
    }
}

pub fn supported(name: &str) -> Result<Algorithm> {
    Algorithm::parse(name).ok_or_else(|| {
        errors::request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid \
             types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

pub fn check_form(algorithm: Algorithm, value: &str) -> Result<()> {
    match base64_decode(value).is_some_and(|bytes| bytes.len() == algorithm.bytes()) {
        true => Ok(()),
        false => {
            Err(errors::request(format!("Value for {} header is invalid.", algorithm.header())))
        }
    }
}

/// `None` where there is no checksum to speak of.
pub fn kind(sums: &BTreeMap<String, String>, composite: bool) -> Option<ChecksumType> {
    let kind = if composite { ChecksumType::Composite } else { ChecksumType::FullObject };
    (!sums.is_empty()).then_some(kind)
}

pub fn algorithms(sums: &BTreeMap<String, String>) -> Option<Vec<api::ChecksumAlgorithm>> {
    let all: Vec<_> = sums.keys().map(|name| name.as_str().into()).collect();
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish().1
    }

    #[test]
    fn known_values() {
        // The check values of the CRC catalogue, and the SHAs' of RFC 3174 and FIPS 180.
        for (algorithm, wanted) in [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
        ] {
            assert_eq!(sum(algorithm, b"123456789"), wanted, "{algorithm:?}");
        }
        assert_eq!(sum(Algorithm::Sha1, b"abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }

    #[test]
    fn parts_make_the_whole() {
        let (a, b) = (b"the first part, ".as_slice(), b"and the second".as_slice());
        let whole = [a, b].concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (x, y) = (sum(algorithm, a), sum(algorithm, b));
            let parts = [(x.as_str(), a.len() as u64), (y.as_str(), b.len() as u64)];
            assert_eq!(
                of_parts(algorithm, false, parts.into_iter()),
                Some(sum(algorithm, &whole)),
                "{algorithm:?}"
            );
        }
    }
}
