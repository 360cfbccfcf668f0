//! The answers against this kernel, and the sentences.

use super::requirement::refused;
use super::*;
use std::io;

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

#[test]
fn a_missing_requirement_is_a_sentence_that_names_what_and_why() {
    for (requirement, reason, sentence) in [
        (
            Requirement::Attach(AttachKind::Fentry),
            refused(&errno(libc::EPERM)),
            "fentry: refused by this kernel or for want of a capability (EPERM)",
        ),
        (
            Requirement::Field("sock", "sk_x"),
            "not in this kernel".into(),
            "kernel field sock.sk_x: not in this kernel",
        ),
        (
            Requirement::Tracepoint("x"),
            refused(&errno(libc::ENOENT)),
            "tracepoint x: not in this kernel (ENOENT)",
        ),
        (
            Requirement::Map(MapKind::TaskStorage),
            refused(&errno(524)),
            "BPF map task storage: not supported by this kernel (ENOTSUPP)",
        ),
        (
            Requirement::Helper(Helper::SkStorageGet),
            refused(&errno(libc::ENOSPC)),
            "BPF helper sk_storage_get: No space left on device (os error 28)",
        ),
    ] {
        assert_eq!(Missing { requirement, reason }.to_string(), sentence);
    }
}

#[test]
fn a_kernel_without_type_information_says_where_it_looked_and_the_way_out() {
    let dir = tempfile::tempdir().expect("a folder");
    let kernel = Kernel::new(Env { sys: dir.path().into(), ..Env::default() }, None);
    let missing = kernel.ask(Requirement::Btf).expect_err("nothing there").to_string();
    assert!(
        missing.starts_with("kernel type information (BTF): ") && missing.contains("global.btf_path"),
        "{missing}"
    );
    let tracepoint = kernel.ask(Requirement::Tracepoint("sched_process_exit")).expect_err("nothing there");
    assert!(tracepoint.reason.contains("does not exist"), "{tracepoint}");
}

#[test]
fn a_file_with_types_serves_a_kernel_that_shows_none_and_a_damaged_one_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let env = Env { sys: dir.path().into(), ..Env::default() };
    let damaged = dir.path().join("damaged");
    std::fs::write(&damaged, [0x9f, 0xeb, 1, 0, 24, 0, 0, 0]).expect("written");
    let answer = Kernel::new(env.clone(), Some(damaged.clone())).ask(Requirement::Btf).expect_err("no types");
    assert!(answer.reason.contains("damaged"), "{answer}");
    let real = std::path::PathBuf::from("/sys/kernel/btf/vmlinux");
    let kernel = Kernel::new(env, Some(real.clone()));
    assert_eq!(kernel.ask(Requirement::Type("task_struct")), Ok(()));
    assert_eq!(kernel.btf_file(), Some(&*real));
    assert_eq!(Kernel::new(Env::default(), Some(damaged)).btf_file(), None, "the kernel's own comes first");
}

#[test]
fn types_fields_and_tracepoints_are_found_by_name_and_kind() {
    let kernel = Kernel::new(Env::default(), None);
    for (requirement, there) in [
        (Requirement::Btf, true),
        (Requirement::Type("sock"), true),
        (Requirement::Type("no_such_type"), false),
        (Requirement::Field("sock", "sk_drops"), true),
        // In an anonymous union of an anonymous struct.
        (Requirement::Field("sock_common", "skc_daddr"), true),
        (Requirement::Field("sock", "skc_daddr"), false),
        (Requirement::Field("no_such_type", "x"), false),
        (Requirement::Tracepoint("inet_sock_set_state"), true),
        (Requirement::Tracepoint("no_such_tracepoint"), false),
        // A struct, not a function.
        (Requirement::Function("sock"), false),
        (Requirement::Function("bpf_iter_task"), true),
    ] {
        assert_eq!(kernel.ask(requirement).is_ok(), there, "{requirement}");
    }
    assert_eq!(kernel.answers().len(), 11, "each is remembered");
}

/// As root: what every kernel that we support must give, and for the rest a reason that is not a riddle.
#[test]
fn root_every_kind_is_tried_and_answered() {
    let kernel = Kernel::new(Env::default(), None);
    let must = [
        Requirement::Attach(AttachKind::TpBtf),
        Requirement::Attach(AttachKind::RawTp),
        Requirement::Attach(AttachKind::IterTask),
        Requirement::Attach(AttachKind::IterTaskFile),
        Requirement::Attach(AttachKind::IterTcp),
        Requirement::Attach(AttachKind::IterUdp),
        Requirement::Map(MapKind::Ringbuf),
        Requirement::Map(MapKind::SkStorage),
        Requirement::Helper(Helper::SkcToTcpSock),
    ];
    for requirement in must {
        assert_eq!(kernel.ask(requirement), Ok(()));
    }
    let all = AttachKind::ALL.map(Requirement::Attach).into_iter();
    let all = all.chain(MapKind::ALL.map(Requirement::Map)).chain(Helper::ALL.map(Requirement::Helper));
    for requirement in all {
        match kernel.ask(requirement) {
            // Read by the kernel matrix.
            Ok(()) => eprintln!("ANSWER {requirement}: yes"),
            Err(missing) => {
                eprintln!("ANSWER {missing}");
                assert!(!missing.reason.contains("os error"), "{missing}: no words for it");
            }
        }
    }
}

/// As root: socket storage came to tracing programs with the accounting of maps to cgroups (5.11), binding an
/// iterator to a process with 6.1. What the questions answer must agree with what is known of the kernels.
#[test]
fn root_the_answers_agree_with_the_history_of_the_kernel() {
    let kernel = Kernel::new(Env::default(), None);
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().expect("a number"));
    let version = (numbers.next().expect("major"), numbers.next().expect("minor"));
    for (requirement, since) in [
        (Requirement::Helper(Helper::SkStorageGet), (5, 11)),
        (Requirement::Helper(Helper::SockFromFile), (5, 11)),
        (Requirement::Helper(Helper::TaskStorageGet), (5, 11)),
        (Requirement::Map(MapKind::TaskStorage), (5, 11)),
        (Requirement::Attach(AttachKind::IterOfProcess), (6, 1)),
    ] {
        assert_eq!(kernel.ask(requirement).is_ok(), version >= since, "{requirement} on {release}");
    }
}
