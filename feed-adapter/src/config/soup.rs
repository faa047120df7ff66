//! How may an adapter ask SoupBinTCP servers, of sessions and of snapshots?

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::SourceTable;
use super::{ConfigError, InputConfig, LineConfig, SourceConfig};
use crate::error::AdapterError;
use crate::source::soup::{Asked, Servers, SnapshotServers};

/// What is asked of one source's SoupBinTCP servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SoupConfig {
    /// Who logs in; at most 6 bytes, no space.
    pub user: String,
    /// The file that holds the password, at most 10 bytes; `None`: it is empty.
    pub password_file: Option<PathBuf>,
    /// How long one answer may take, with connecting and logging in.
    pub answer_time: Duration,
    /// Most bytes of messages in one answer.
    pub answer_bytes: usize,
    /// Whether a session's past is fetched when this adapter began in mid-session.
    pub past: bool,
    /// For how long the past is left to the peer first.
    pub past_after: Duration,
    /// How long fetching a past may take.
    pub past_time: Duration,
    /// Most messages of a past.
    pub past_messages: u64,
}

/// What is asked of one source's snapshot servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GlimpseConfig {
    /// Who logs in; at most 6 bytes, no space.
    pub user: String,
    /// The file that holds the password, at most 10 bytes; `None`: it is empty.
    pub password_file: Option<PathBuf>,
    /// Whether the session that is given may have another name than the lines'.
    pub any_session: bool,
    /// For how long the past is left to the peer first.
    pub after: Duration,
    /// How long a snapshot may take.
    pub time: Duration,
    /// Most messages of a snapshot.
    pub messages: u64,
}

impl SourceConfig {
    /// The lines' snapshot servers, A first.
    #[must_use]
    pub fn glimpse_servers(&self) -> [Option<SocketAddr>; 2] {
        self.servers_at(|line| line.glimpse)
    }

    /// Whose sessions' beginnings are fetched; `None`: nobody's.
    pub(crate) fn asked_for_past(&self) -> Option<Asked> {
        let soup = self.soup.as_ref().filter(|soup| soup.past)?;
        let servers = self.soup_servers().map(|server| server.is_some());
        Some(Asked::new(servers, soup.past_after))
    }

    /// Who is asked for snapshots; `None`: nobody.
    pub(crate) fn asked_for_snapshot(&self) -> Option<Asked> {
        let servers = self.glimpse_servers().map(|server| server.is_some());
        Some(Asked::new(servers, self.glimpse.as_ref()?.after))
    }

    /// The lines' servers of one kind, A first.
    fn servers_at(&self, of: fn(&LineConfig) -> Option<SocketAddr>) -> [Option<SocketAddr>; 2] {
        match &self.input {
            InputConfig::Live(lines) => lines.each_ref().map(|line| line.as_ref().and_then(of)),
            InputConfig::File { .. } => [None; 2],
        }
    }

    /// Whom to ask for a snapshot, and with what; `None`: nobody. Reads the password.
    ///
    /// # Errors
    /// As [`SourceConfig::servers`].
    pub fn snapshot_servers(&self) -> Result<Option<SnapshotServers>, AdapterError> {
        let Some(glimpse) = &self.glimpse else {
            return Ok(None);
        };
        Ok(Some(SnapshotServers {
            addresses: self.glimpse_servers(),
            user: glimpse.user.clone(),
            password: password("source.glimpse", glimpse.password_file.as_deref())?,
            any_session: glimpse.any_session,
            time: glimpse.time,
            messages: glimpse.messages,
        }))
    }

    /// The lines' SoupBinTCP servers, A first.
    #[must_use]
    pub fn soup_servers(&self) -> [Option<SocketAddr>; 2] {
        self.servers_at(|line| line.soup)
    }

    /// Whom to ask, and with what; `None`: nobody. Reads the password.
    ///
    /// # Errors
    /// [`AdapterError::Config`] when its file cannot be read, or holds none.
    pub fn servers(&self) -> Result<Option<Servers>, AdapterError> {
        let Some(soup) = &self.soup else {
            return Ok(None);
        };
        let password = password("source.soup", soup.password_file.as_deref())?;
        Ok(Some(Servers {
            addresses: self.soup_servers(),
            user: soup.user.clone(),
            password,
            answer_time: soup.answer_time,
            answer_bytes: soup.answer_bytes,
            past_time: soup.past_time,
            past_messages: soup.past_messages,
        }))
    }
}

fn password(of: &str, path: Option<&Path>) -> Result<String, ConfigError> {
    let Some(path) = path else {
        return Ok(String::new());
    };
    let wrong = |fault: String, remedy: &str| {
        ConfigError::new(
            format!("{of}.password_file"),
            format!("{}: {fault}", path.display()),
            remedy,
        )
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(error.to_string(), "name a file that this adapter may read"))?;
    let password = text.trim();
    match is_field(password, 10) {
        true => Ok(password.to_owned()),
        false => Err(wrong(
            "no password of SoupBinTCP".to_owned(),
            "write up to 10 characters of ASCII without a space",
        )),
    }
}

/// Whether a text fits a field of so many bytes that is padded with spaces.
fn is_field(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a table and the addresses at the lines are there together.
fn is_there<T>(
    table: Option<&T>,
    named: bool,
    sid: u32,
    (key, server): (&str, &str),
) -> Result<bool, ConfigError> {
    match (table, named) {
        (None, false) => Ok(false),
        (Some(_), true) => Ok(true),
        (None, true) => Err(ConfigError::new(
            format!("source.{key}"),
            format!("missing in source {sid}, whose line has a {server} server"),
            format!("add `[source.{key}]` with `user` and, if it has one, `password_file`"),
        )),
        (Some(_), false) => Err(ConfigError::new(
            format!("source.{key}"),
            format!("no line of source {sid} has a {server} server"),
            format!("add `{key} = \"ADDRESS:PORT\"` to line.A or line.B"),
        )),
    }
}

/// What `[source.glimpse]` and the lines' `glimpse` say together.
pub(super) fn glimpse(
    table: &SourceTable,
    base: &Path,
) -> Result<Option<GlimpseConfig>, ConfigError> {
    let lines = [&table.line.a, &table.line.b];
    let mut lines = lines.into_iter().flatten();
    let named = lines.any(|line| line.glimpse.is_some());
    let is_there = is_there(
        table.glimpse.as_ref(),
        named,
        table.sid,
        ("glimpse", "GLIMPSE"),
    )?;
    let Some(glimpse) = table.glimpse.as_ref().filter(|_| is_there) else {
        return Ok(None);
    };
    let config = GlimpseConfig {
        user: glimpse.user.clone(),
        password_file: glimpse.password_file.as_ref().map(|path| base.join(path)),
        any_session: glimpse.any_session.unwrap_or(false),
        after: glimpse.after.map_or(Duration::from_secs(1), |span| span.0),
        time: glimpse.time.map_or(Duration::from_secs(60), |span| span.0),
        messages: glimpse.messages.unwrap_or(200_000_000),
    };
    let rules = [
        (
            "source.glimpse.user",
            "be 1 to 6 characters of ASCII without a space",
            is_field(&config.user, 6) && !config.user.is_empty(),
        ),
        (
            "source.glimpse.time",
            "be between 10ms and 1h",
            (Duration::from_millis(10)..=Duration::from_secs(3_600)).contains(&config.time),
        ),
        (
            "source.glimpse.messages",
            "be at least 1",
            config.messages >= 1,
        ),
    ];
    ConfigError::check(&rules)?;
    Ok(Some(config))
}

/// What `[source.soup]` and the lines' `soup` say together.
pub(super) fn soup(table: &SourceTable, base: &Path) -> Result<Option<SoupConfig>, ConfigError> {
    let lines = [&table.line.a, &table.line.b];
    let named = lines.into_iter().flatten().any(|line| line.soup.is_some());
    let is_there = is_there(
        table.soup.as_ref(),
        named,
        table.sid,
        ("soup", "SoupBinTCP"),
    )?;
    let Some(soup) = table.soup.as_ref().filter(|_| is_there) else {
        return Ok(None);
    };
    let config = SoupConfig {
        user: soup.user.clone(),
        password_file: soup.password_file.as_ref().map(|path| base.join(path)),
        answer_time: soup
            .answer_time
            .map_or(Duration::from_secs(2), |span| span.0),
        answer_bytes: soup.answer_bytes.unwrap_or(4 << 20),
        past: soup.past.unwrap_or(true),
        past_after: soup
            .past_after
            .map_or(Duration::from_secs(1), |span| span.0),
        past_time: soup
            .past_time
            .map_or(Duration::from_secs(1_800), |span| span.0),
        past_messages: soup.past_messages.unwrap_or(2_000_000_000),
    };
    let rules = [
        (
            "source.soup.user",
            "be 1 to 6 characters of ASCII without a space",
            is_field(&config.user, 6) && !config.user.is_empty(),
        ),
        (
            "source.soup.answer_time",
            "be between 1ms and 60s",
            (Duration::from_millis(1)..=Duration::from_secs(60)).contains(&config.answer_time),
        ),
        (
            "source.soup.answer_bytes",
            "be between 65536 and 1073741824",
            (1 << 16..=1 << 30).contains(&config.answer_bytes),
        ),
        (
            "source.soup.past_time",
            "be between 1s and 24h",
            (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&config.past_time),
        ),
        (
            "source.soup.past_messages",
            "be at least 1",
            config.past_messages >= 1,
        ),
    ];
    ConfigError::check(&rules)?;
    Ok(Some(config))
}
