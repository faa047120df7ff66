//! What is a host here?
//!
//! A network namespace with one interface, `eth0`, and a cable (a veth pair) to the switch. It lives as long as its
//! holder, which does nothing but wait for the end of its standard input, and as the processes that entered it.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use twinfeed_control::StopFlag;
use twinfeed_harness::Error;
use twinfeed_harness::hosts::Host;
use twinfeed_harness::process::{Seen, until};

use super::filter::Filter;

/// The bridge that all cables end in.
const SWITCH: &str = "br0";
/// The network of a lab, nobody else's: it is within a cage.
const NETWORK: [u8; 3] = [10, 77, 0];
/// How long the kernel may take to make a namespace.
const LIMIT: Duration = Duration::from_secs(10);

/// The switch, and this program's own cable to it: address 1.
#[derive(Debug)]
pub(super) struct Switch(());

impl Switch {
    pub(super) fn start() -> Result<Self, Error> {
        let [a, b, c] = NETWORK;
        // Groups go to everybody: a subscriber that did not join does not look.
        let plan = format!(
            "link add {SWITCH} type bridge mcast_snooping 0\n\
             addr add {a}.{b}.{c}.1/24 dev {SWITCH}\nlink set {SWITCH} up\n"
        );
        output("make the switch of", "lab", &mut batch(), &plan).map(|_| Self(()))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // The cage takes it away if this cannot.
        let _ = output(
            "remove",
            SWITCH,
            &mut batch(),
            &format!("link del {SWITCH}\n"),
        );
    }
}

/// A host.
#[derive(Debug)]
pub struct Namespace {
    door: Door,
    last: u8,
    holder: Child,
}

/// The way into a host.
#[derive(Clone, Debug)]
pub(super) struct Door {
    name: &'static str,
    path: String,
}

impl Namespace {
    /// Makes a host whose address ends with `last`, and plugs it in.
    ///
    /// # Errors
    /// With what `ip` or the kernel says.
    pub(super) fn start(name: &'static str, last: u8) -> Result<Self, Error> {
        let holder = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed("hold", name))?;
        let path = format!("/proc/{}/ns/net", holder.id());
        let door = Door { name, path };
        let host = Self { door, last, holder };
        let ours = fs::read_link("/proc/self/ns/net").map_err(failed("find", name))?;
        until("a namespace is there", LIMIT, &StopFlag::new(), || {
            Ok(match fs::read_link(&host.door.path) {
                Ok(theirs) if theirs != ours => Seen::Met(()),
                other => Seen::NotYet(format!("{other:?}")),
            })
        })?;
        let (cable, pid, address) = (host.cable(), host.holder.id(), host.address());
        let plan = format!(
            "link add {cable} type veth peer name eth0 netns {pid}\n\
             link set {cable} master {SWITCH} up\n"
        );
        output("plug in", name, &mut batch(), &plan)?;
        let plan = format!(
            "link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n\
             route add 224.0.0.0/4 dev eth0\n"
        );
        host.door.run("set up", &["ip", "-batch", "-"], &plan)?;
        Ok(host)
    }

    /// For a rig.
    #[must_use]
    pub fn host(&self) -> Host {
        Host {
            address: self.address().into(),
            namespace: Some(self.holder.id()),
        }
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.door.name
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        let [a, b, c] = NETWORK;
        Ipv4Addr::new(a, b, c, self.last)
    }

    /// Pulls its cable out of the switch, or plugs it in again. The host sees that it has no carrier, and keeps its address
    /// and its groups.
    ///
    /// # Errors
    /// With what `ip` says.
    pub fn plug(&self, there: bool) -> Result<(), Error> {
        let state = if there { "up" } else { "down" };
        let plan = format!("link set {} {state}\n", self.cable());
        output("plug", self.door.name, &mut batch(), &plan).map(drop)
    }

    /// Whether its interface sees a carrier, by its own kernel's word.
    ///
    /// # Errors
    /// With what `ip` says.
    pub fn has_carrier(&self) -> Result<bool, Error> {
        let words = ["ip", "link", "show", "dev", "eth0"];
        let text = self.door.run("look at", &words, "")?;
        Ok(!text.contains("NO-CARRIER"))
    }

    /// Drops what arrives here and matches `rule`, in the words of nftables, until the filter is dropped.
    ///
    /// # Errors
    /// With what `nft` says.
    pub fn filter(&self, rule: &str) -> Result<Filter, Error> {
        Filter::start(self.door.clone(), rule)
    }

    /// Moves the thread that calls into this host: sockets that it opens from now on are here.
    ///
    /// # Errors
    /// With what the kernel says.
    pub fn enter(&self) -> Result<(), Error> {
        let Door { name, path } = &self.door;
        let file = fs::File::open(path).map_err(failed("enter", name))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| failed("enter", name)(errno.into()))
    }

    /// Its end in the switch.
    fn cable(&self) -> String {
        format!("cable{}", self.last)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = output(
            "unplug",
            self.door.name,
            &mut batch(),
            &format!("link del {}\n", self.cable()),
        );
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Door {
    /// Runs a program there with this on its standard input; returns what it said.
    pub(super) fn run(
        &self,
        action: &'static str,
        words: &[&str],
        input: &str,
    ) -> Result<String, Error> {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path))
            .arg("--")
            .args(words);
        output(action, self.name, &mut command, input)
    }
}

fn batch() -> Command {
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]);
    command
}

/// Runs it with this on its standard input; returns what it said.
fn output(
    action: &'static str,
    host: &str,
    command: &mut Command,
    input: &str,
) -> Result<String, Error> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(failed(action, host))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(input.as_bytes())
            .map_err(failed(action, host))?;
    }
    let done = child.wait_with_output().map_err(failed(action, host))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(failed(action, host)(std::io::Error::other(said)))
}

fn failed(action: &'static str, host: &str) -> impl FnOnce(std::io::Error) -> Error {
    let process = format!("the host {host}");
    move |source| Error::Process {
        action,
        process,
        source,
    }
}
