//! Real container runtimes in folders of their own: containerd (plain and for kubelets) and dockerd, and an image
//! for them that comes from no registry.
//!
//! Owns their start, end and configuration. Nothing is shared with runtimes that the machine may run already.

use crate::process::{Background, command, text_of};
use crate::wait::DEADLINE;
use crate::{Client, eventually, within};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The image that [`image`] makes.
pub const IMAGE: &str = "localhost/busybox:1";

/// What the image runs by default.
const SLEEP: [&str; 3] = ["/bin/busybox", "sleep", "600"];

/// A root file system with busybox alone, below `dir`.
pub fn rootfs(dir: &Path) -> PathBuf {
    let root = dir.join("rootfs");
    for sub in ["bin", "proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir_all(root.join(sub)).expect("a folder of the root file system");
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    fs::copy(busybox.expect("busybox-static; `make test` installs it"), root.join("bin/busybox"))
        .expect("busybox");
    root
}

/// An image of [`rootfs`] as `docker save` writes it; every runtime takes that.
pub fn image(dir: &Path) -> PathBuf {
    let (root, parts) = (rootfs(dir), dir.join("image"));
    fs::create_dir_all(&parts).expect("a folder for the image");
    let layer = parts.join("layer.tar");
    let shown = |path: &Path| path.to_str().expect("a path of ASCII").to_owned();
    text_of("tar", &["-C", &shown(&root), "-cf", &shown(&layer), "."]);
    let sum = text_of("sha256sum", &[&shown(&layer)]);
    let digest = sum.split_whitespace().next().expect("a sum");
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"Cmd": SLEEP},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    for (name, document) in [("config.json", &config), ("manifest.json", &manifest)] {
        fs::write(parts.join(name), document.to_string()).expect("a part of the image");
    }
    let tar = dir.join("image.tar");
    let names = ["manifest.json", "config.json", "layer.tar"];
    text_of("tar", &[&["-C", &shown(&parts), "-cf", &shown(&tar)][..], &names[..]].concat());
    tar
}

/// A containerd with its folders below one of the test's.
#[derive(Debug)]
pub struct Containerd {
    home: PathBuf,
    process: Option<Background>,
}

impl Containerd {
    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(home: &Path) -> Self {
        fs::create_dir_all(home).expect("a folder for containerd");
        let at = |name: &str| home.join(name).display().to_string();
        // Without the right to lower its score a sandbox would not start on some machines.
        let config = format!(
            r#"version = 2
root = "{}"
state = "{}"
[grpc]
  address = "{}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"#,
            at("root"),
            at("state"),
            at("c.sock"),
            at("opt"),
        );
        fs::write(home.join("config.toml"), config).expect("containerd's configuration");
        let mut containerd = Self { home: home.to_owned(), process: None };
        containerd.resume();
        containerd
    }

    /// Starts it again after [`Self::kill`].
    #[track_caller]
    pub fn resume(&mut self) {
        let mut program = command("containerd");
        program.args(["--log-level", "warn", "--config"]).arg(self.home.join("config.toml"));
        self.process = Some(Background::start(program, &self.home.join("log")));
        eventually("containerd to answer", || {
            let output = self.ctr("default", &["version"]).output().expect("ctr can be executed");
            output.status.success().then_some(())
        });
    }

    /// Kills it; its containers go on.
    pub fn kill(&mut self) {
        self.process.take().expect("a running containerd").kill();
    }

    /// Its socket, which kubelets use too.
    pub fn socket(&self) -> PathBuf {
        self.home.join("c.sock")
    }

    /// Its command line client.
    pub fn ctr(&self, namespace: &str, args: &[&str]) -> std::process::Command {
        let mut ctr = command("ctr");
        ctr.arg("-a").arg(self.socket()).args(["-n", namespace, "--timeout", "60s"]).args(args);
        ctr
    }

    /// Runs a command of its client, which must succeed.
    #[track_caller]
    pub fn must(&self, namespace: &str, args: &[&str]) -> String {
        let output = self.ctr(namespace, args).output().expect("ctr can be executed");
        assert!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a container in `root` that sleeps for so many seconds.
    #[track_caller]
    pub fn run(&self, root: &Path, name: &str, seconds: &str) {
        let root = root.to_str().expect("a path of ASCII");
        self.must("default", &["run", "-d", "--rootfs", root, name, "/bin/busybox", "sleep", seconds]);
    }

    /// Ends a container and removes it.
    #[track_caller]
    pub fn remove(&self, namespace: &str, name: &str) {
        self.must(namespace, &["tasks", "rm", "-f", name]);
        self.must(namespace, &["containers", "rm", name]);
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if self.process.is_none() && std::thread::panicking() {
            self.resume();
        }
        for namespace in ["default", "k8s.io", "moby", "other"] {
            let Ok(list) = self.ctr(namespace, &["tasks", "ls", "-q"]).output() else { continue };
            for name in String::from_utf8_lossy(&list.stdout).lines() {
                drop(self.ctr(namespace, &["tasks", "rm", "-f", name]).output());
            }
        }
        drop(self.process.take());
        unmount_below(&self.home);
    }
}

/// What is mounted below a folder would be in the way of removing it.
fn unmount_below(home: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let paths = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below: Vec<&str> = paths.filter(|path| Path::new(path).starts_with(home)).collect();
    for mount in below.into_iter().rev() {
        drop(command("umount").args(["-l", mount]).output());
    }
}

/// A dockerd above a containerd.
#[derive(Debug)]
pub struct Dockerd {
    home: PathBuf,
    containerd: PathBuf,
    process: Option<Background>,
}

impl Dockerd {
    /// Starts it, waits until it answers, and gives it the image.
    #[track_caller]
    pub fn start(home: &Path, containerd: &Containerd) -> Self {
        fs::create_dir_all(home).expect("a folder for dockerd");
        let mut docker = Self { home: home.to_owned(), containerd: containerd.socket(), process: None };
        docker.resume();
        let tar = fs::read(image(home)).expect("the image");
        let headers = [("content-type", "application/x-tar")];
        docker.api().send("POST", "/images/load", &headers, tar).expect(200);
        docker
    }

    /// Starts it again after [`Self::kill`].
    #[track_caller]
    pub fn resume(&mut self) {
        let mut program = command("dockerd");
        let at = |name: &str| self.home.join(name);
        program.arg("--config-file").arg(at("none.json"));
        fs::write(at("none.json"), "{}").expect("dockerd's configuration");
        program.arg("--data-root").arg(at("root")).arg("--exec-root").arg(at("exec"));
        program.arg("-p").arg(at("pid")).arg("--containerd").arg(&self.containerd);
        program.arg("-H").arg(format!("unix://{}", self.socket().display()));
        program.args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"]);
        program.args(["--live-restore", "--group", "root"]);
        self.process = Some(Background::start(program, &at("log")));
        eventually("dockerd to answer", || {
            let answer = self.api().try_send("GET", "/_ping", &[], Vec::new()).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Kills it; its containers go on.
    pub fn kill(&mut self) {
        self.process.take().expect("a running dockerd").kill();
        // Its pid file would keep the next one from starting where the pid is in use again.
        drop(fs::remove_file(self.home.join("pid")));
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.home.join("d.sock")
    }

    /// Its API.
    pub fn api(&self) -> Client {
        Client::socket(&self.socket())
    }

    /// Makes a container of the image and returns its id.
    #[track_caller]
    pub fn create(&self, name: &str, labels: &Value, cmd: &[&str]) -> String {
        let body =
            json!({"Image": IMAGE, "Cmd": cmd, "Labels": labels, "HostConfig": {"NetworkMode": "none"}});
        let made =
            self.api().send_json("POST", &format!("/containers/create?name={name}"), &body).expect(201);
        made.json()["Id"].as_str().expect("an id").to_owned()
    }

    /// Starts a container.
    #[track_caller]
    pub fn begin(&self, id: &str) {
        self.api().send("POST", &format!("/containers/{id}/start"), &[], "").expect(204);
    }

    /// Ends a container and removes it.
    #[track_caller]
    pub fn remove(&self, id: &str) {
        self.api().send("DELETE", &format!("/containers/{id}?force=1"), &[], "").expect(204);
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let list = self.api().try_send("GET", "/containers/json?all=1", &[], Vec::new());
            let list = list.ok().and_then(|list| serde_json::from_slice::<Value>(&list.body).ok());
            for id in list.iter().filter_map(Value::as_array).flatten().filter_map(|row| row["Id"].as_str()) {
                drop(self.api().try_send("DELETE", &format!("/containers/{id}?force=1"), &[], Vec::new()));
            }
            // It unmounts what it mounted if it may end by itself.
            process.signal(rustix::process::Signal::TERM);
            within(DEADLINE, || process.ended());
        }
        unmount_below(&self.home);
    }
}
