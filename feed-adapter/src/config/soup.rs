//! How may an adapter ask SoupBinTCP servers?

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::SourceTable;
use super::{ConfigError, InputConfig, SourceConfig};
use crate::error::AdapterError;
use crate::source::soup::Servers;

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

impl SourceConfig {
    /// The lines' SoupBinTCP servers, A first.
    #[must_use]
    pub fn soup_servers(&self) -> [Option<SocketAddr>; 2] {
        match &self.input {
            InputConfig::Live(lines) => [0, 1].map(|at| lines[at].as_ref().and_then(|of| of.soup)),
            InputConfig::File { .. } => [None; 2],
        }
    }

    /// Whom to ask, and with what; `None`: nobody. Reads the password.
    ///
    /// # Errors
    /// [`AdapterError::Config`] when its file cannot be read, or holds none.
    pub fn servers(&self) -> Result<Option<Servers>, AdapterError> {
        let Some(soup) = &self.soup else {
            return Ok(None);
        };
        let password = match &soup.password_file {
            None => String::new(),
            Some(path) => password(path)?,
        };
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

fn password(path: &Path) -> Result<String, ConfigError> {
    let wrong = |fault: String, remedy: &str| {
        ConfigError::new(
            "source.soup.password_file",
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

/// What `[source.soup]` and the lines' `soup` say together.
pub(super) fn soup(table: &SourceTable, base: &Path) -> Result<Option<SoupConfig>, ConfigError> {
    let lines = [&table.line.a, &table.line.b];
    let named = lines.into_iter().flatten().any(|line| line.soup.is_some());
    let soup = match (&table.soup, named) {
        (None, false) => return Ok(None),
        (Some(soup), true) => soup,
        (None, true) => {
            return Err(ConfigError::new(
                "source.soup",
                format!(
                    "missing in source {}, whose line has a SoupBinTCP server",
                    table.sid
                ),
                "add `[source.soup]` with `user` and, if it has one, `password_file`",
            ));
        }
        (Some(_), false) => {
            return Err(ConfigError::new(
                "source.soup",
                format!("no line of source {} has a SoupBinTCP server", table.sid),
                "add `soup = \"ADDRESS:PORT\"` to line.A or line.B",
            ));
        }
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
    match rules.iter().find(|(_, _, holds)| !holds) {
        Some((key, must, _)) => Err(ConfigError::new(
            *key,
            "out of bounds",
            format!("it must {must}"),
        )),
        None => Ok(Some(config)),
    }
}
