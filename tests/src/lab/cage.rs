//! How does a program get a network and a file system that nobody else sees?
//!
//! It becomes itself again within namespaces of its own, through `unshare` of util-linux, before it does anything else.
//! The process stays the same, so its parent and its children know it as before.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Set in the environment within the cage.
const INSIDE: &str = "TWINFEED_CAGE";
/// What is needed beside this program, and what shows that it is there.
const TOOLS: [(&str, &str); 4] = [
    ("unshare", "--version"),
    ("nsenter", "--version"),
    ("ip", "-V"),
    ("nft", "--version"),
];
/// Most bytes of a run's files where they are not to be kept.
const SCRATCH: &str = "size=2g,mode=0700";

/// Proof that this program is in its cage.
#[derive(Debug)]
pub struct Cage(());

/// Enters the cage: returns within it, or with why there can be none.
///
/// # Errors
/// Which tool or permission is missing, and what helps.
pub fn enter(arguments: impl IntoIterator<Item = OsString>) -> Result<Cage, String> {
    if Cage::is_inside() {
        let up = run(Command::new("ip").args(["link", "set", "lo", "up"]));
        return up.map(|()| Cage(()));
    }
    for (tool, asked) in TOOLS {
        run(Command::new(tool).arg(asked)).map_err(|fault| {
            format!("{fault}; install util-linux, iproute2 and nftables, with /usr/sbin in PATH")
        })?;
    }
    run(unshare().args(["nft", "list", "ruleset"])).map_err(|fault| {
        format!("{fault}; network namespaces need root, or user namespaces for everybody")
    })?;
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let error = unshare().arg(this).args(arguments).env(INSIDE, "1").exec();
    Err(format!("unshare: {error}"))
}

impl Cage {
    /// Whether this program is in its cage already.
    #[must_use]
    pub fn is_inside() -> bool {
        std::env::var_os(INSIDE).is_some()
    }

    /// A folder in memory that only this cage sees, and that goes with it.
    ///
    /// # Errors
    /// When nothing can be mounted.
    pub fn scratch(&self) -> Result<PathBuf, String> {
        let at = std::env::temp_dir().join("twinfeed-faults");
        std::fs::create_dir_all(&at).map_err(|error| format!("{}: {error}", at.display()))?;
        mount(&at, SCRATCH)?;
        Ok(at)
    }
}

/// Mounts memory at `at`, within the cage.
pub(super) fn mount(at: &Path, options: &str) -> Result<(), String> {
    let mut command = Command::new("mount");
    run(command
        .args(["-t", "tmpfs", "-o", options, "twinfeed"])
        .arg(at))
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--propagation", "private"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--");
    command
}

/// Runs it; an error with what it said.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output();
    match done {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name}: {}", said.trim()))
        }
        Err(error) => Err(format!("{name}: {error}")),
    }
}
