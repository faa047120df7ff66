//! Which files do the processes of a run read, and which addresses stand in them?
//!
//! ```text
//!  <run directory>/
//!    feed.toml  stream-admin.toml  exchange.toml
//!    tokens/{adapter,subscriber,operator}
//!    state/{active,backup,probe,stream-admin.redb}
//!    truth.jsonl  sent/<session>.itch                 what the exchange writes down
//!    exchange-2.toml  truth-2.jsonl  sent-2/          and that of the second source
//!    <process>.log
//! ```

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use twinfeed_control::{Policy, Role};
use twinfeed_exchange::flow::FlowConfig;
use twinfeed_feed_adapter::decode::{TradingDay, itch50};

use crate::error::Error;
use crate::hosts::{Addresses, Host, Hosts};
use crate::probe::wire::MOST_EVENTS;
use crate::run::{Content, Run, Soup, SoupServer};
use crate::truth::Conversion;

/// Name of the one feed.
pub const FEED: &str = "demo";
/// Nothing where nothing but the defaults is wanted: another build may not know of the table.
fn fills_toml(run: &Run) -> String {
    match (run.fills, run.retained) {
        (true, None) => String::new(),
        (false, _) => "[fills]\nenabled = false\n".to_owned(),
        (true, Some(messages)) => format!("[fills]\nmessages = {messages}\n"),
    }
}

/// Bytes of the shortest message of a BinaryFILE with its length: a delete.
const SHORTEST_MESSAGE: u64 = 21;
/// DBN publisher of every record.
const PUBLISHER: u16 = itch50::Settings::XNAS_ITCH;

/// The addresses of one adapter.
#[derive(Clone, Copy, Debug)]
pub struct AdapterAddresses {
    /// Where lines A and B arrive.
    pub lines: [SocketAddr; 2],
    /// Where those of the second source do, if there is one.
    pub second_lines: Option<[SocketAddr; 2]>,
    /// Its end of the pair link.
    pub link: SocketAddr,
    /// The relay in front of it, if there is one.
    pub relay: Option<SocketAddr>,
    /// Where its streams come from.
    pub publish_from: SocketAddr,
    /// Its metrics.
    pub operations: SocketAddr,
}

/// A run's directory, its files written.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
    hosts: Hosts,
    /// Where stream-admin listens.
    pub stream_admin: SocketAddr,
    /// The relay through which the active adapter reaches it, if there is one.
    pub administration_relay: Option<SocketAddr>,
    /// Where the exchanges give lost messages again, by their sources, if they do.
    pub requests: Option<[SocketAddr; 2]>,
    /// Where they give sessions over SoupBinTCP, by their sources and lines, if they do.
    pub soup: Option<[[SocketAddr; 2]; 2]>,
    /// Where they give snapshots, by their sources, if they do.
    pub glimpse: Option<[SocketAddr; 2]>,
    /// The adapters' addresses, active first.
    pub adapters: [AdapterAddresses; 2],
}

/// With which the adapters log in to SoupBinTCP servers.
const SOUP_PASSWORD: &str = "of-the-run";

fn soup_toml(kind: &str, at: SocketAddr, server: SoupServer) -> Option<String> {
    let fault = match server {
        SoupServer::Sound => String::new(),
        SoupServer::Refuses => "reject = \"no-session\"\n".to_owned(),
        SoupServer::Slow(time) => format!("delay_ms = {}\n", time.as_millis()),
        SoupServer::Breaks(messages) => format!("break_after = {messages}\n"),
        SoupServer::Absent => return None,
    };
    Some(format!(
        "[[{kind}]]\naddress = \"{at}\"\npassword = \"{SOUP_PASSWORD}\"\n{fault}"
    ))
}

impl Files {
    /// Chooses addresses and writes every file into `directory`, which exists.
    ///
    /// # Errors
    /// When a file cannot be written, or no port is left.
    pub fn write(directory: &Path, run: &Run) -> Result<Self, Error> {
        Self::write_for(directory, run, Hosts::default())
    }

    /// The same for processes that stand on these hosts.
    ///
    /// # Errors
    /// As [`Files::write`].
    pub fn write_for(directory: &Path, run: &Run, hosts: Hosts) -> Result<Self, Error> {
        let mut at = Addresses::default();
        let relay = |at: &mut Addresses| at.of(Host::THIS);
        let files = Self {
            directory: directory.to_owned(),
            stream_admin: at.of(hosts.stream_admin)?,
            administration_relay: match run.relayed_administration {
                true => Some(relay(&mut at)?),
                false => None,
            },
            requests: match run.requests {
                Some(_) => Some([at.of(hosts.exchange)?, at.of(hosts.exchange)?]),
                None => None,
            },
            soup: match run.soup {
                Some(_) => {
                    let mut lines =
                        || Ok::<_, Error>([at.of(hosts.exchange)?, at.of(hosts.exchange)?]);
                    Some([lines()?, lines()?])
                }
                None => None,
            },
            glimpse: match run.soup.and_then(|soup| soup.snapshots) {
                Some(_) => Some([at.of(hosts.exchange)?, at.of(hosts.exchange)?]),
                None => None,
            },
            adapters: [
                addresses(run, &hosts, hosts.adapters[0], &mut at)?,
                addresses(run, &hosts, hosts.adapters[1], &mut at)?,
            ],
            hosts,
        };
        for folder in ["tokens", "state"] {
            let path = directory.join(folder);
            fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
        }
        // Known to everybody who can read this directory; the run listens on loopback only.
        if let Some(soup) = run.soup {
            let password = if soup.password {
                SOUP_PASSWORD
            } else {
                "wrong"
            };
            files.put("tokens/soup", &format!("{password}\n"))?;
        }
        for who in ["adapter", "subscriber", "operator"] {
            files.put(&format!("tokens/{who}"), &format!("{who}-of-this-run\n"))?;
        }
        files.put("stream-admin.toml", &files.stream_admin_toml(run))?;
        files.put("feed.toml", &files.feed_toml(run))?;
        for exchange in files.exchanges() {
            let text = files.exchange_toml(exchange, run)?;
            files.put(exchange.configuration(), &text)?;
        }
        Ok(files)
    }

    /// The file or folder `name` in the run's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The run's directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the processes stand.
    #[must_use]
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Base URL of stream-admin.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.hosts.tls {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.stream_admin)
    }

    /// The exchanges of the run, by their sources.
    pub fn exchanges(&self) -> impl Iterator<Item = Origin> {
        let second = self.adapters[0].second_lines.map(|_| Origin::Second);
        std::iter::once(Origin::First).chain(second)
    }

    /// What the adapters were told about converting.
    ///
    /// # Errors
    /// When the run's trading day is none.
    pub fn conversion(run: &Run) -> Result<Conversion, Error> {
        let day: TradingDay = run.trading_day.parse().map_err(|error| Error::Run {
            key: "trading_day",
            fault: format!("{error}; write it as 2019-12-30"),
        })?;
        let settings = itch50::Settings {
            publisher_id: PUBLISHER,
            max_open_orders: open_orders(run),
        };
        Ok(Conversion { day, settings })
    }

    fn put(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.path(name);
        fs::write(&path, text).map_err(Error::file("write", &path))
    }

    fn stream_admin_toml(&self, run: &Run) -> String {
        let listen = self.stream_admin;
        let mut text = format!(
            "listen = \"{listen}\"\nstate = \"state/stream-admin.redb\"\n{tls}\
             [limits]\nhandover = \"10 s\"\ntakeovers_per_minute = {takeovers}\n{receipts}{lease}\
             [[feed]]\nname = \"{FEED}\"\nsync_threshold = {threshold}\n",
            tls = self
                .hosts
                .tls
                .as_ref()
                .map_or(String::new(), |[certificate, key]| {
                    format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n")
                }),
            takeovers = run.takeovers_per_minute,
            receipts = run.receipts_kept.map_or(String::new(), |most| format!(
                "receipts_per_feed = {most}\n"
            )),
            threshold = run.sync_threshold,
            lease = run.adapter_lease.map_or(String::new(), |lease| {
                format!("[leases]\nadapter = \"{} ms\"\n", lease.as_millis())
            }),
        );
        if let Some(missed) = run.missed_heartbeats {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "missed_heartbeats = {missed}");
        }
        let _ = writeln!(text, "transmit = \"{}\"", run.transmit);
        if self.hosts.streams.is_some() {
            text.push_str("transport = \"multicast\"\n");
        }
        if let Some(takeover) = run.takeover {
            let _ = writeln!(text, "takeover = \"{takeover}\"");
        }
        if let Some(hold) = run.source_hold {
            let _ = writeln!(text, "source_hold = \"{} ms\"", hold.as_millis());
        }
        if let Some(lag) = run.lag {
            let _ = writeln!(text, "lag = \"{} ms\"", lag.as_millis());
        }
        for exchange in self.exchanges() {
            let _ = writeln!(text, "[[feed.source]]\nsid = {}", exchange.sid());
        }
        for who in ["adapter", "subscriber", "operator"] {
            let _ = write!(
                text,
                "[[principal]]\nname = \"{who}\"\nkind = \"{who}\"\nfeeds = \"all\"\n\
                 token_file = \"tokens/{who}\"\n"
            );
        }
        text
    }

    fn feed_toml(&self, run: &Run) -> String {
        let [active, backup] = self.adapters;
        let mut text = format!(
            "feed = \"{FEED}\"\nformat = \"itch50\"\ntrading_day = \"{day}\"\n\
             publisher_id = {PUBLISHER}\nmax_open_orders = {orders}\n{sources}{publish}\
             [pair]\nsync_threshold = {threshold}\ntransmit = \"{transmit}\"\n{missed}{lead}\
             context_transfer = {transfer}\n\
             {fills}{rings}\
             [stream_admin]\nurl = \"{url}\"\ntoken_file = \"tokens/adapter\"\n{trust}",
            publish = match self.hosts.streams {
                Some(_) => "[publish]\nmode = \"multicast\"\n",
                None => "",
            },
            trust = self
                .hosts
                .tls
                .as_ref()
                .map_or(String::new(), |[certificate, _]| {
                    format!("ca_file = {certificate:?}\n")
                }),
            day = run.trading_day,
            orders = open_orders(run),
            transmit = run.transmit,
            // Reports come as often as heartbeats.
            missed = run.missed_heartbeats.map_or(String::new(), |missed| {
                format!("standby_missed_reports = {missed}\n")
            }),
            // Counted in whole microseconds.
            lead = run.least_lead.map_or(String::new(), |lead| {
                format!("least_lead = \"{}us\"\n", lead.as_micros())
            }),
            transfer = run.context_transfer,
            fills = fills_toml(run),
            rings = match run.rings {
                true => "[ring]\nenabled = true\n",
                false => "",
            },
            threshold = run.sync_threshold,
            sources = self.sources_toml(run),
            url = self.url(),
        );
        let [first, second] = self.hosts.adapters;
        for (role, at, host, core) in [
            (Role::Active, active, first, run.cores[0]),
            (Role::Backup, backup, second, run.cores[1]),
        ] {
            let _ = write!(
                text,
                "[{role}]\nlink = \"{}\"\npublish_from = \"{}\"\noperations = \"{}\"\n\
                 state_dir = \"state/{role}\"\n",
                at.link, at.publish_from, at.operations
            );
            if let Some(relay) = at.relay {
                let _ = writeln!(text, "link_advertised = \"{relay}\"");
            }
            if let Some(idle) = &run.idle {
                let _ = writeln!(text, "idle = \"{idle}\"");
            }
            if let Some(core) = core {
                let _ = writeln!(text, "core = {core}");
            }
            let interface = host.address;
            if self.hosts.streams.is_some() {
                let _ = writeln!(text, "publish_interface = \"{interface}\"");
            }
            let joined = self
                .hosts
                .lines
                .map_or(String::new(), |_| format!("interface = \"{interface}\"\n"));
            for exchange in self.exchanges() {
                let (sid, lines) = (exchange.sid(), exchange.lines(&at));
                for (line, address) in ["A", "B"].into_iter().zip(lines) {
                    let _ = write!(
                        text,
                        "[[{role}.line]]\nsid = {sid}\nline = \"{line}\"\n\
                         address = \"{address}\"\n{joined}"
                    );
                }
            }
        }
        text
    }

    fn sources_toml(&self, run: &Run) -> String {
        let mut spans = String::new();
        for (key, span) in [
            ("silence", run.silence),
            ("reorder_hold", run.reorder_hold),
            ("lag_hold", run.lag_hold),
        ] {
            if let Some(span) = span {
                // Writing to a String cannot fail.
                let _ = writeln!(spans, "{key} = \"{} ms\"", span.as_millis());
            }
        }
        let source = |exchange: Origin| {
            let [a, b] = exchange.lines(&self.adapters[0]);
            let group = self
                .hosts
                .streams
                .map_or(String::new(), |[active, backup]| {
                    format!("group = {{ active = \"{active}\", backup = \"{backup}\" }}\n")
                });
            let requests = self.requests.map_or(String::new(), |of| {
                format!(", requests = \"{}\"", of[exchange.place()])
            });
            let [soup_a, soup_b] = [0, 1].map(|line| match (self.soup, run.soup) {
                (Some(of), Some(soup)) if soup.servers[line].is_some() => {
                    format!(", soup = \"{}\"", of[exchange.place()][line])
                }
                _ => String::new(),
            });
            let glimpse_a = self.glimpse.map_or(String::new(), |of| {
                format!(", glimpse = \"{}\"", of[exchange.place()])
            });
            let glimpse = match self.glimpse {
                Some(_) => {
                    "glimpse = { user = \"TWIN\", password_file = \"tokens/soup\", after = \"200 ms\" }\n"
                }
                None => "",
            };
            let named = |soup: &Soup| soup.servers.iter().any(Option::is_some);
            let soup = run.soup.filter(named).map_or(String::new(), |soup| {
                // The past is soon fetched here: nobody waits for the peer's. A busy host may be slow to connect: a hole is
                // asked for as long as what is held behind it finds room.
                let past = soup.past;
                format!(
                    "soup = {{ user = \"TWIN\", password_file = \"tokens/soup\", past = {past}, \
                     past_after = \"200 ms\", time = \"3 s\" }}\n"
                )
            });
            format!(
                "[[source]]\nsid = {}\ntype = \"moldudp64\"\n{spans}{group}\
                 line.A = {{ address = \"{a}\"{requests}{soup_a}{glimpse_a} }}\nline.B = {{ address = \"{b}\"{soup_b} }}\n\
                 {soup}{glimpse}",
                exchange.sid()
            )
        };
        self.exchanges().map(source).collect()
    }

    fn exchange_toml(&self, exchange: Origin, run: &Run) -> Result<String, Error> {
        let lines = |line: usize| match self.hosts.lines {
            Some(groups) => format!(
                "destinations = [\"{}\"]\ninterface = \"{}\"",
                groups[line], self.hosts.exchange.address
            ),
            None => {
                let of = |adapter| exchange.lines(&adapter)[line].to_string();
                format!("destinations = {:?}", self.adapters.map(of))
            }
        };
        let ms = |key, span: std::time::Duration| match span.as_millis() {
            0 => Err(Error::Run {
                key,
                fault: "it is shorter than a millisecond".to_owned(),
            }),
            ms => Ok(ms),
        };
        let mut text = format!(
            "seed = {seed}\nwait = true\ntruth = \"{truth}\"\nsent_dir = \"{sent}\"\n\
             [line_a]\n{a}\nloss = {loss:?}\n[line_b]\n{b}\nloss = {loss:?}\n\
             [mold]\nheartbeat_ms = 100\n\
             [pace]\nper_second = {rate}\n",
            seed = run.seed + u64::from(exchange.sid()) - 1,
            truth = exchange.truth(),
            sent = exchange.sent(),
            rate = run.rate,
            loss = run.line_loss,
            a = lines(0),
            b = lines(1),
        );
        let pace = text.split_off(text.find("[pace]").unwrap_or(text.len()));
        if let (Some(at), Some(ignore)) = (self.requests, run.requests) {
            let _ = writeln!(
                text,
                "[requests]\naddress = \"{}\"\nignore = {ignore:?}",
                at[exchange.place()]
            );
            if let Some(kept) = run.requests_kept {
                let _ = writeln!(text, "messages = {kept}");
            }
        }
        if let (Some(at), Some(soup)) = (self.soup, run.soup) {
            let servers = at[exchange.place()].into_iter().zip(soup.servers);
            text.extend(servers.filter_map(|(at, server)| soup_toml("soup", at, server?)));
        }
        if let (Some(at), Some(server)) = (self.glimpse, run.soup.and_then(|soup| soup.snapshots)) {
            text.extend(soup_toml("glimpse", at[exchange.place()], server));
        }
        text.push_str(&pace);
        if let Some(burst) = run.burst {
            let _ = write!(
                text,
                "burst_factor = {}\nburst_period_ms = {}\nburst_length_ms = {}\n",
                burst.factor,
                ms("burst.period", burst.period)?,
                ms("burst.length", burst.length)?,
            );
        }
        let _ = write!(
            text,
            "[sessions]\nprefix = \"{}\"\nlength_ms = {}\npause_ms = {}\nend_interval_ms = 20\n",
            exchange.prefix(),
            ms("session", run.session)?,
            ms("pause", run.pause)?
        );
        if let Some(count) = run.sessions {
            let _ = writeln!(text, "count = {count}");
        }
        if run.requests.is_some() || run.soup.is_some() {
            // A hole in front of the last end is asked for behind it.
            let _ = writeln!(text, "linger_ms = 30000");
        }
        let _ = match &run.content {
            Content::Flow { instruments } => {
                write!(
                    text,
                    "[content]\nkind = \"flow\"\ninstruments = {instruments}\n"
                )
            }
            Content::Binaryfile { path, first } => write!(
                text,
                "first_sequence = {first}\n[content]\nkind = \"binaryfile\"\npath = {path:?}\n",
            ),
        };
        Ok(text)
    }

    /// Arguments of `twinfeed probe`, for the probe called `name` that stands on `host`.
    #[must_use]
    pub fn probe_arguments(&self, run: &Run, name: &str, host: Host) -> Vec<String> {
        let policy = match run.policy {
            Policy::FirstArrival => "first-arrival",
            Policy::PreferActive => "prefer-active",
        };
        let mut arguments: Vec<String> = ["probe", "--stream-admin", &self.url(), "--feed", FEED]
            .map(str::to_owned)
            .to_vec();
        arguments
            .extend(["--token-file", "tokens/subscriber", "--policy", policy].map(str::to_owned));
        arguments.push("--state-dir".to_owned());
        arguments.push(format!("state/{name}"));
        arguments.push("--log".to_owned());
        arguments.push(run.log.to_string());
        if run.events != MOST_EVENTS {
            // Left out otherwise: the program may be of an earlier build.
            arguments.extend(["--events".to_owned(), run.events.to_string()]);
        }
        if let Some(bytes) = run.receive_buffer {
            arguments.extend(["--receive-buffer".to_owned(), bytes.to_string()]);
        }
        if run.rings {
            arguments.extend(["--idle", "yield"].map(str::to_owned));
        }
        if host != Host::THIS {
            arguments.extend(["--interface".to_owned(), host.address.to_string()]);
        }
        if let Some([certificate, _]) = &self.hosts.tls {
            arguments.push("--ca-file".to_owned());
            arguments.push(certificate.display().to_string());
        }
        arguments
    }
}

/// An exchange of a run, each the origin of one source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Of sid 1.
    First,
    /// Of sid 2.
    Second,
}

impl Origin {
    /// The source that it is the origin of.
    #[must_use]
    pub const fn sid(self) -> u32 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }

    /// Which of two it is.
    const fn place(self) -> usize {
        self.sid() as usize - 1
    }

    /// The name of its process.
    #[must_use]
    pub const fn process(self) -> &'static str {
        match self {
            Self::First => "exchange",
            Self::Second => "exchange-2",
        }
    }

    /// The file that it reads.
    #[must_use]
    pub const fn configuration(self) -> &'static str {
        match self {
            Self::First => "exchange.toml",
            Self::Second => "exchange-2.toml",
        }
    }

    /// The file that says what it sent.
    #[must_use]
    pub const fn truth(self) -> &'static str {
        match self {
            Self::First => "truth.jsonl",
            Self::Second => "truth-2.jsonl",
        }
    }

    /// The folder that holds what it sent.
    #[must_use]
    pub const fn sent(self) -> &'static str {
        match self {
            Self::First => "sent",
            Self::Second => "sent-2",
        }
    }

    /// Begins the names of its sessions, which are epochs of the feed.
    const fn prefix(self) -> &'static str {
        match self {
            Self::First => "S",
            Self::Second => "T",
        }
    }

    /// Where its lines arrive; an adapter of a run without it has none.
    const fn lines(self, at: &AdapterAddresses) -> [SocketAddr; 2] {
        match (self, at.second_lines) {
            (Self::Second, Some(lines)) => lines,
            (Self::First, _) | (Self::Second, None) => at.lines,
        }
    }
}

/// Most orders that a source can have open; the same for the adapters and for the judge. No more than that:
/// the kernel frees a killed process' memory before it closes its sockets, so memory that nobody needs
/// delays the moment at which the survivor learns of the death.
fn open_orders(run: &Run) -> usize {
    let most = match &run.content {
        Content::Flow { instruments } => {
            let market = FlowConfig::default();
            usize::from(*instruments) * usize::from(market.orders_per_instrument)
        }
        Content::Binaryfile { path, .. } => {
            let bytes = fs::metadata(path).map_or(u64::MAX, |file| file.len());
            usize::try_from(bytes / SHORTEST_MESSAGE).unwrap_or(usize::MAX)
        }
    };
    most.clamp(1_024, itch50::Settings::MAX_OPEN_ORDERS)
        .next_power_of_two()
}

fn addresses(
    run: &Run,
    hosts: &Hosts,
    host: Host,
    at: &mut Addresses,
) -> Result<AdapterAddresses, Error> {
    let lines = |at: &mut Addresses| Ok::<_, Error>([at.of(host)?, at.of(host)?]);
    Ok(AdapterAddresses {
        lines: match hosts.lines {
            Some(groups) => groups,
            None => lines(at)?,
        },
        second_lines: match run.two_sources {
            true => Some(lines(at)?),
            false => None,
        },
        link: at.of(host)?,
        relay: match run.relayed_link {
            true => Some(at.of(Host::THIS)?),
            false => None,
        },
        publish_from: at.of(host)?,
        operations: at.of(host)?,
    })
}

#[cfg(test)]
mod tests {
    use twinfeed_exchange::ExchangeConfig;
    use twinfeed_feed_adapter::config::{Config, Overrides};

    use super::*;

    #[test]
    fn every_file_is_what_its_reader_expects() {
        let directory = tempfile::tempdir().unwrap();
        let run = Run::default();
        let files = Files::write(directory.path(), &run).unwrap();
        let read = |role| {
            Config::read(role, &files.path("feed.toml"), None, &Overrides::default()).unwrap()
        };
        use twinfeed_feed_adapter::Role;
        let (active, backup) = (read(Role::Active), read(Role::Backup));
        assert_eq!(active.digest(), backup.digest());
        assert_eq!(active.host.link, files.adapters[0].link);
        assert_eq!(backup.host.link, files.adapters[1].link);
        let line = |config: &Config| format!("{:?}", config.sources[0].input);
        assert_ne!(
            line(&active),
            line(&backup),
            "each host finds the lines at its own address"
        );
        let exchange = fs::read_to_string(files.path("exchange.toml")).unwrap();
        let exchange: ExchangeConfig = toml::from_str(&exchange).unwrap();
        exchange.check().unwrap();
        let lines = |index: usize| files.adapters.map(|adapter| adapter.lines[index]).to_vec();
        assert_eq!(exchange.line_a.destinations, lines(0));
        assert_eq!(exchange.line_b.destinations, lines(1));
    }

    #[test]
    fn a_second_source_has_lines_sessions_and_files_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let run = Run {
            two_sources: true,
            least_lead: Some(std::time::Duration::from_millis(3)),
            ..Run::default()
        };
        let files = Files::write(directory.path(), &run).unwrap();
        use twinfeed_feed_adapter::Role;
        let path = files.path("feed.toml");
        let config = Config::read(Role::Backup, &path, None, &Overrides::default()).unwrap();
        let sids: Vec<_> = config.sources.iter().map(|source| source.sid.0).collect();
        assert_eq!(sids, [1, 2]);
        assert_eq!(config.pair.least_lead, run.least_lead.unwrap());
        let exchanges: Vec<ExchangeConfig> = files
            .exchanges()
            .map(|exchange| {
                let text = fs::read_to_string(files.path(exchange.configuration())).unwrap();
                toml::from_str(&text).unwrap()
            })
            .collect();
        let [first, second] = &exchanges[..] else {
            panic!("{exchanges:?}");
        };
        assert_ne!(first.sessions.prefix, second.sessions.prefix);
        assert_ne!(first.truth, second.truth);
        assert_ne!(first.line_a.destinations, second.line_a.destinations);
        assert_ne!(first.seed, second.seed);
    }
}
