//! Who an instance is on the host and inside.
//!
//! As root, every instance gets two host users of its own, one for its first process and one for its code, from a range that
//! no account has: two functions cannot touch each other even where no namespace stands between them. As an ordinary
//! user there is one user only, and the namespaces alone keep instances apart.

use std::fs;
use std::io;

use super::root::{GROUP_ID, USER_ID};

/// Above what adduser, systemd's dynamic users (61184+) and subordinate ids (100000+, 524288+) hand out.
const HOST_IDS_FIRST: u32 = 0x5E4E_0000;
const HOST_IDS_COUNT: u32 = 0x1_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The host ids of the first process and of the code.
    Own { init: u32, runtime: u32 },
    /// Everything is the user that started the server.
    Shared,
}

impl Identity {
    /// `number` counts instances; ids return to use after a round, long after their instance is gone.
    pub fn own(number: u64) -> Identity {
        let offset = (number * 2 % u64::from(HOST_IDS_COUNT)) as u32;
        let init = HOST_IDS_FIRST + offset;
        Identity::Own { init, runtime: init + 1 }
    }

    /// The ids the first process takes inside, when there is a choice.
    pub fn init_ids(self) -> Option<(u32, u32)> {
        match self {
            Identity::Own { .. } => Some((0, 0)),
            Identity::Shared => None,
        }
    }

    /// The ids of the function's code inside.
    pub fn runtime_ids(self) -> (u32, u32) {
        (USER_ID, GROUP_ID)
    }

    /// Tells the kernel how ids of process `pid`'s user namespace appear outside.
    pub fn write_maps(self, pid: i32) -> io::Result<()> {
        let (users, groups) = match self {
            Identity::Own { init, runtime } => (
                format!("0 {init} 1\n{USER_ID} {runtime} 1\n"),
                format!("0 {init} 1\n{GROUP_ID} {runtime} 1\n"),
            ),
            Identity::Shared => (format!("{USER_ID} 0 1\n"), format!("{GROUP_ID} 0 1\n")),
        };
        if self == Identity::Shared {
            fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
        }
        fs::write(format!("/proc/{pid}/uid_map"), users)?;
        fs::write(format!("/proc/{pid}/gid_map"), groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_no_id() {
        assert_eq!(Identity::own(0), Identity::Own { init: 0x5E4E_0000, runtime: 0x5E4E_0001 });
        assert_eq!(Identity::own(1), Identity::Own { init: 0x5E4E_0002, runtime: 0x5E4E_0003 });
    }
}
