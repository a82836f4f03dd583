//! Removing old files among hostile ones: links of every kind, also changed under the sweep's hands.

use chrono::Utc;
use paramedic::clients::fleet::{Cleaned, local::clean::clean};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// `root` is declared, `outside` is not; both in one temporary folder.
struct Ground {
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The real path: on some machines the temporary folder itself is reached by a link.
        let base = fs::canonicalize(dir.path()).unwrap();
        let (root, outside) = (base.join("logs"), base.join("outside"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        Self { _dir: dir, root, outside }
    }

    fn sweep(&self, paths: &[&Path]) -> Cleaned {
        let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
        clean(std::slice::from_ref(&self.root), &paths, 7, Utc::now())
    }
}

fn aged(path: &Path, days: f64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "12345").unwrap();
    age(path, days);
}

fn age(path: &Path, days: f64) {
    let span = Duration::from_secs_f64(days.abs() * 86_400.0);
    let time = if days < 0.0 { SystemTime::now() + span } else { SystemTime::now() - span };
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn removed(cleaned: &Cleaned) -> Vec<&str> {
    let mut names: Vec<_> = cleaned.removed.iter().map(|file| file.path.rsplit_once('/').unwrap().1).collect();
    names.sort();
    names
}

fn why<'a>(cleaned: &'a Cleaned, path: &Path) -> &'a str {
    let found = cleaned.refused.iter().find(|refused| Path::new(&refused.path) == path);
    found.map_or_else(|| panic!("{} is not among {:?}", path.display(), cleaned.refused), |refused| &refused.why)
}

#[test]
fn old_files_go_with_every_byte_told_and_young_ones_and_folders_stay() {
    let ground = Ground::new();
    aged(&ground.root.join("old.log"), 8.0);
    aged(&ground.root.join("a/b/deep.log"), 400.0);
    aged(&ground.root.join("young.log"), 6.9);
    aged(&ground.root.join("tomorrow.log"), -1.0);
    let cleaned = ground.sweep(&[&ground.root]);
    assert_eq!(removed(&cleaned), ["deep.log", "old.log"]);
    assert_eq!((cleaned.bytes, cleaned.kept), (10, 2));
    assert!(cleaned.removed.iter().all(|file| file.bytes == 5));
    assert!(cleaned.refused.is_empty(), "{:?}", cleaned.refused);
    assert!(ground.root.join("a/b").is_dir() && ground.root.join("young.log").exists());
}

#[test]
fn links_are_neither_followed_nor_removed() {
    let ground = Ground::new();
    let precious = ground.outside.join("precious");
    aged(&precious, 100.0);
    let (file, folder, dangling) = (ground.root.join("file"), ground.root.join("folder"), ground.root.join("dangling"));
    symlink(&precious, &file).unwrap();
    symlink(&ground.outside, &folder).unwrap();
    symlink("/nowhere", &dangling).unwrap();
    let cleaned = ground.sweep(&[&ground.root]);
    assert!(cleaned.removed.is_empty() && precious.exists());
    for link in [&file, &folder, &dangling] {
        assert_eq!(why(&cleaned, link), "a link: not followed, not removed");
        assert!(fs::symlink_metadata(link).is_ok());
    }
    // Named outright, or as a step on the way.
    let cleaned = ground.sweep(&[&folder, &ground.root.join("folder/below")]);
    assert!(why(&cleaned, &folder).contains("is a link or not a folder"));
    assert!(why(&cleaned, &ground.root.join("folder/below")).contains("folder is a link or not a folder"));
    assert!(precious.exists());
}

#[test]
fn a_folder_swapped_for_a_link_again_and_again_leads_nowhere() {
    let ground = Ground::new();
    let (folder, link) = (ground.root.join("app"), ground.root.join("zz-link"));
    fs::create_dir(&folder).unwrap();
    symlink(&ground.outside, &link).unwrap();
    let precious: Vec<_> = (0..20).map(|n| ground.outside.join(format!("f{n}"))).collect();
    precious.iter().for_each(|path| aged(path, 100.0));
    let stop = AtomicBool::new(false);
    let swapped = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                count += 1;
            }
            count
        });
        let mut gone = 0;
        for round in 0..300 {
            // Something to remove in the real folder, wherever it is just now.
            for at in [&folder, &link] {
                if fs::symlink_metadata(at).is_ok_and(|seen| seen.is_dir()) {
                    let _ = fs::write(ground.root.join(format!("r{round}")), "x");
                }
            }
            if let Ok(file) = File::options().write(true).open(ground.root.join(format!("r{round}"))) {
                let time = SystemTime::now() - Duration::from_secs(100 * 86_400);
                file.set_times(FileTimes::new().set_modified(time)).unwrap();
            }
            gone += ground.sweep(&[&ground.root, &folder]).removed.len();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(gone > 0, "the sweeps did remove what they may");
        swapper.join().unwrap()
    });
    assert!(swapped > 100, "swapped {swapped} times");
    assert!(precious.iter().all(|path| path.exists()), "a file outside the root is gone");
}

#[test]
fn a_file_with_a_second_name_stays() {
    let ground = Ground::new();
    let (inside, outside) = (ground.root.join("hard.log"), ground.outside.join("data"));
    aged(&outside, 100.0);
    fs::hard_link(&outside, &inside).unwrap();
    let cleaned = ground.sweep(&[&ground.root]);
    assert!(why(&cleaned, &inside).contains("2 names"), "{cleaned:?}");
    assert!(inside.exists() && outside.exists());
}

#[test]
fn a_file_that_a_process_has_open_stays() {
    let ground = Ground::new();
    let path = ground.root.join("held.log");
    aged(&path, 100.0);
    let held = File::open(&path).unwrap();
    assert!(why(&ground.sweep(&[&ground.root]), &path).contains("open by a process"));
    drop(held);
    assert_eq!(removed(&ground.sweep(&[&ground.root])), ["held.log"]);
}

#[test]
fn a_pipe_or_socket_stays() {
    let ground = Ground::new();
    let path = ground.root.join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(why(&ground.sweep(&[&ground.root]), &path), "not a regular file");
}

#[test]
fn less_than_seven_days_is_refused_and_nothing_goes() {
    let ground = Ground::new();
    aged(&ground.root.join("old.log"), 100.0);
    for days in [0, 1, 6] {
        let roots = std::slice::from_ref(&ground.root);
        let cleaned = clean(roots, roots, days, Utc::now());
        assert!(cleaned.removed.is_empty() && why(&cleaned, &ground.root).contains("at least 7"), "{cleaned:?}");
    }
}

#[test]
fn a_path_that_is_not_below_a_declared_root_is_refused() {
    let ground = Ground::new();
    aged(&ground.outside.join("precious"), 100.0);
    let neighbour = ground.root.with_file_name("logs-of-others");
    aged(&neighbour.join("x"), 100.0);
    let climbing = ground.root.join("../outside");
    let cleaned = ground.sweep(&[&ground.outside, &neighbour, &climbing, Path::new("logs"), Path::new("")]);
    assert!(why(&cleaned, &ground.outside).contains("not below a declared log root"));
    assert!(why(&cleaned, &neighbour).contains("not below a declared log root"));
    assert!(why(&cleaned, &climbing).contains("without `..`"));
    assert_eq!(cleaned.refused.len(), 5);
    assert!(cleaned.removed.is_empty() && ground.outside.join("precious").exists() && neighbour.join("x").exists());
}

#[test]
fn a_root_that_is_itself_a_link_or_protected_is_refused() {
    let ground = Ground::new();
    aged(&ground.outside.join("precious"), 100.0);
    let root = ground.root.join("link");
    symlink(&ground.outside, &root).unwrap();
    let cleaned = clean(std::slice::from_ref(&root), std::slice::from_ref(&root), 7, Utc::now());
    assert!(why(&cleaned, &root).contains("is a link"), "{cleaned:?}");
    for root in ["/", "/etc", "/usr/share", "/bin", "/var", "/tmp"].map(PathBuf::from) {
        let cleaned = clean(std::slice::from_ref(&root), std::slice::from_ref(&root), 3_000, Utc::now());
        assert_eq!(why(&cleaned, &root), "protected: never cleaned");
        assert!(cleaned.removed.is_empty());
    }
    assert!(ground.outside.join("precious").exists());
}

#[test]
fn many_refusals_are_cut_and_the_cut_is_told() {
    let ground = Ground::new();
    for n in 0..300 {
        symlink("/nowhere", ground.root.join(format!("link{n}"))).unwrap();
    }
    let cleaned = ground.sweep(&[&ground.root]);
    assert_eq!(cleaned.refused.len(), 201);
    assert!(cleaned.refused[200].why.contains("the rest is not listed"));
}
