//! Which system calls a function may make: a list of what is allowed, everything else answers EPERM.
//!
//! Left out on purpose: namespaces and mounts, ptrace and reading other processes, kernel keyrings, BPF, perf,
//! userfaultfd, io_uring, handles of files, clocks, modules, reboot, raw and exotic sockets.
//!
//! The program is a search tree, not a list: at its installation the kernel runs it once for every call number, on the
//! path of a cold start.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;

/// Installs the filter; no new privileges are set on the way.
pub fn install_filter(bytes: &[u8]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: (bytes.len() / size_of::<libc::sock_filter>()) as u16,
        filter: bytes.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the program points to whole instructions (made by `filter_bytes`) that live across the call; the kernel
    // copies and verifies them, and reads them bytewise, so their alignment does not matter.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1u64, 0u64, 0u64, 0u64) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, 2u64, &program, 0u64, 0u64) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The filter as the kernel wants it, so that an interpreter can install it too.
pub fn filter_bytes() -> Vec<u8> {
    let instructions = program();
    instructions
        .iter()
        .flat_map(|instruction| {
            let code = instruction.code.to_ne_bytes();
            let k = instruction.k.to_ne_bytes();
            [code[0], code[1], instruction.jt, instruction.jf, k[0], k[1], k[2], k[3]]
        })
        .collect()
}

/// What is done about a call.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    Allow,
    Refuse,
    /// As if the kernel did not know it: C libraries then use an older call, which can be judged by its arguments.
    Unknown,
    Clone,
    Ioctl,
    Socket,
    SocketPair,
    Personality,
}

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const JUMP_ANY_BIT: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
const UNKNOWN: u32 = 0x0005_0000 | libc::ENOSYS as u32;
const KILL: u32 = 0x8000_0000;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xC000_00B7;

const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// The kind of a socket, without its flags.
const SOCKET_KIND: u32 = 0xf;

/// Offset of the lower half of an argument (both architectures are little endian).
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

fn program() -> Vec<libc::sock_filter> {
    let mut code = vec![
        // A program of another architecture has other call numbers.
        op(LOAD, ARCHITECTURE),
        jump(JUMP_EQUAL, OURS, 1, 0),
        op(RETURN, KILL),
        op(LOAD, NUMBER),
    ];
    code.extend(tree(&segments()));
    code
}

/// Runs of call numbers with the same rule: where each begins. Beyond the last number everything is refused, also the
/// second numbering that x86-64 has.
fn segments() -> Vec<(u32, Rule)> {
    let mut rules: BTreeMap<u32, Rule> =
        ALLOWED.iter().map(|call| (*call as u32, Rule::Allow)).collect();
    #[cfg(target_arch = "x86_64")]
    rules.extend(ALLOWED_X86_64.iter().map(|call| (*call as u32, Rule::Allow)));
    rules.extend([
        (libc::SYS_clone3 as u32, Rule::Unknown),
        (libc::SYS_clone as u32, Rule::Clone),
        (libc::SYS_ioctl as u32, Rule::Ioctl),
        (libc::SYS_socket as u32, Rule::Socket),
        (libc::SYS_socketpair as u32, Rule::SocketPair),
        (libc::SYS_personality as u32, Rule::Personality),
    ]);
    let mut segments: Vec<(u32, Rule)> = vec![(0, Rule::Refuse)];
    let mut push = |start: u32, rule: Rule| match segments.last_mut() {
        Some(last) if last.0 == start => last.1 = rule,
        Some(last) if last.1 == rule => {}
        _ => segments.push((start, rule)),
    };
    for (number, rule) in rules {
        push(number, rule);
        push(number + 1, Rule::Refuse);
    }
    // A refusal of no number at all is overwritten above, which can leave equal neighbours.
    segments.dedup_by(|next, before| next.1 == before.1);
    segments
}

fn tree(segments: &[(u32, Rule)]) -> Vec<libc::sock_filter> {
    let [(_, rule)] = segments else {
        let (left, right) = segments.split_at(segments.len() / 2);
        let (start, left, right) = (right[0].0, tree(left), tree(right));
        let mut code = vec![jump(JUMP_AT_LEAST, start, 0, 1), op(JUMP, left.len() as u32)];
        code.extend(left);
        code.extend(right);
        return code;
    };
    leaf(*rule)
}

fn leaf(rule: Rule) -> Vec<libc::sock_filter> {
    let (allow, refuse) = (op(RETURN, ALLOW), op(RETURN, REFUSE));
    match rule {
        Rule::Allow => vec![allow],
        Rule::Refuse => vec![refuse],
        Rule::Unknown => vec![op(RETURN, UNKNOWN)],
        Rule::Clone => {
            vec![op(LOAD, argument(0)), jump(JUMP_ANY_BIT, NAMESPACES, 1, 0), allow, refuse]
        }
        // Typing into a terminal that is not ours.
        Rule::Ioctl => {
            vec![op(LOAD, argument(1)), jump(JUMP_EQUAL, libc::TIOCSTI as u32, 1, 0), allow, refuse]
        }
        Rule::SocketPair => one_of(argument(0), &[libc::AF_UNIX as u32]),
        Rule::Personality => one_of(argument(0), &PERSONALITIES),
        Rule::Socket => sockets(),
    }
}

fn one_of(place: u32, values: &[u32]) -> Vec<libc::sock_filter> {
    let mut code = vec![op(LOAD, place)];
    for (position, value) in values.iter().enumerate() {
        // To the last instruction.
        let left = (values.len() - position) as u8;
        code.push(jump(JUMP_EQUAL, *value, left, 0));
    }
    code.extend([op(RETURN, REFUSE), op(RETURN, ALLOW)]);
    code
}

/// Unix sockets; TCP and UDP; route netlink, which C libraries ask for the machine's addresses.
fn sockets() -> Vec<libc::sock_filter> {
    vec![
        op(LOAD, argument(0)),
        jump(JUMP_EQUAL, libc::AF_UNIX as u32, 9, 0),
        jump(JUMP_EQUAL, libc::AF_INET as u32, 3, 0),
        jump(JUMP_EQUAL, libc::AF_INET6 as u32, 2, 0),
        jump(JUMP_EQUAL, libc::AF_NETLINK as u32, 4, 0),
        op(RETURN, REFUSE),
        op(LOAD, argument(1)),
        op(AND, SOCKET_KIND),
        jump(JUMP_EQUAL, libc::SOCK_STREAM as u32, 2, 3),
        op(LOAD, argument(2)),
        jump(JUMP_EQUAL, 0, 0, 2),
        op(RETURN, ALLOW),
        jump(JUMP_EQUAL, libc::SOCK_DGRAM as u32, 1, 0),
        op(RETURN, REFUSE),
        op(RETURN, ALLOW),
    ]
}

fn op(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt: yes, jf: no, k }
}

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

#[rustfmt::skip]
const ALLOWED: &[i64] = calls! {
    SYS_accept SYS_accept4 SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_clock_getres SYS_clock_gettime
    SYS_clock_nanosleep SYS_close SYS_close_range SYS_connect SYS_copy_file_range SYS_dup SYS_dup3
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fchdir SYS_fchmod SYS_fchmodat
    SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr
    SYS_fsetxattr SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv
    SYS_get_robust_list SYS_getcpu SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups
    SYS_getitimer SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid
    SYS_getresuid SYS_getrlimit SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday
    SYS_getuid SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_kill
    SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen
    SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap SYS_mprotect
    SYS_mremap SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap
    SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2
    SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2
    SYS_prlimit64 SYS_pselect6 SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat
    SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_removexattr SYS_renameat SYS_renameat2 SYS_restart_syscall
    SYS_rseq SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn
    SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler
    SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler
    SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_sendfile SYS_sendmmsg
    SYS_sendmsg SYS_sendto SYS_set_robust_list SYS_set_tid_address SYS_setfsgid SYS_setfsuid SYS_setgid
    SYS_setgroups SYS_setitimer SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid
    SYS_setrlimit SYS_setsid SYS_setsockopt SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget
    SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync
    SYS_sync_file_range SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete
    SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_timerfd_create SYS_timerfd_gettime
    SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice
    SYS_wait4 SYS_waitid SYS_write SYS_writev
};

/// The older forms that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_X86_64: &[i64] = calls! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_wait
    SYS_eventfd SYS_fork SYS_futimesat SYS_getdents SYS_getpgrp SYS_inotify_init SYS_lchown SYS_link SYS_lstat
    SYS_mkdir SYS_mknod SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_rmdir SYS_select
    SYS_signalfd SYS_stat SYS_symlink SYS_time SYS_unlink SYS_utime SYS_utimes SYS_vfork
};

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do: the answer for a call with these arguments.
    fn judge(call: i64, arguments: [u32; 3]) -> u32 {
        let code = program();
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let instruction = code[at];
            let k = instruction.k;
            at += 1;
            let yes = match instruction.code {
                LOAD => {
                    accumulator = match k {
                        NUMBER => call as u32,
                        ARCHITECTURE => OURS,
                        offset => arguments[((offset - 16) / 8) as usize],
                    };
                    continue;
                }
                AND => {
                    accumulator &= k;
                    continue;
                }
                JUMP => {
                    at += k as usize;
                    continue;
                }
                RETURN => return k,
                JUMP_EQUAL => accumulator == k,
                JUMP_AT_LEAST => accumulator >= k,
                JUMP_ANY_BIT => accumulator & k != 0,
                other => panic!("instruction {other}"),
            };
            at += usize::from(if yes { instruction.jt } else { instruction.jf });
        }
    }

    #[test]
    fn every_call_is_judged_by_the_list() {
        let special = [
            libc::SYS_clone3,
            libc::SYS_clone,
            libc::SYS_ioctl,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_personality,
        ];
        for call in (0..600).filter(|call| !special.contains(call)) {
            let mut listed = ALLOWED.contains(&call);
            #[cfg(target_arch = "x86_64")]
            (listed |= ALLOWED_X86_64.contains(&call));
            let expected = if listed { ALLOW } else { REFUSE };
            assert_eq!(judge(call, [0; 3]), expected, "call {call}");
        }
        assert_eq!(judge(0x4000_0000, [0; 3]), REFUSE);
        assert_eq!(judge(libc::SYS_ptrace, [0; 3]), REFUSE);
        assert_eq!(judge(libc::SYS_clone3, [0; 3]), UNKNOWN);
    }

    #[test]
    fn arguments_count_where_they_must() {
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD) as u32;
        assert_eq!(judge(libc::SYS_clone, [thread, 0, 0]), ALLOW);
        assert_eq!(judge(libc::SYS_clone, [libc::CLONE_NEWUSER as u32, 0, 0]), REFUSE);
        assert_eq!(judge(libc::SYS_ioctl, [0, libc::TIOCSTI as u32, 0]), REFUSE);
        assert_eq!(judge(libc::SYS_ioctl, [0, libc::FIONBIO as u32, 0]), ALLOW);
        let socket = |family: i32, kind: i32, protocol: u32| {
            judge(libc::SYS_socket, [family as u32, kind as u32, protocol])
        };
        assert_eq!(socket(libc::AF_UNIX, libc::SOCK_SEQPACKET, 0), ALLOW);
        assert_eq!(socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0), ALLOW);
        assert_eq!(socket(libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, 17), ALLOW);
        assert_eq!(socket(libc::AF_INET, libc::SOCK_RAW, 1), REFUSE);
        assert_eq!(socket(libc::AF_PACKET, libc::SOCK_RAW, 0), REFUSE);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, 0), ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW, 9), REFUSE);
        assert_eq!(judge(libc::SYS_socketpair, [libc::AF_UNIX as u32, 0, 0]), ALLOW);
        assert_eq!(judge(libc::SYS_socketpair, [libc::AF_INET as u32, 0, 0]), REFUSE);
        assert_eq!(judge(libc::SYS_personality, [0x2_0000, 0, 0]), ALLOW);
        assert_eq!(judge(libc::SYS_personality, [0x4_0000, 0, 0]), REFUSE);
    }
}
