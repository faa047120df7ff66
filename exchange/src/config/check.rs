//! Which configurations cannot be run, and what would help?

use std::net::IpAddr;

use super::{ContentConfig, ExchangeConfig, SessionsConfig};
use crate::flow::FlowConfig;
use crate::mold;
use crate::session::SessionId;

const DAY_S: u64 = 86_400;

/// Why a configuration is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A probability outside 0 to 1.
    #[error("`{key}` is a probability: give a number from 0 to 1")]
    Probability {
        /// The key.
        key: String,
    },
    /// A burst with more messages than its period.
    #[error(
        "a burst of {factor} times the rate for {length_ms} ms holds more than the {period_ms} ms \
         it repeats in: keep `pace.burst_factor` × `pace.burst_length_ms` below \
         `pace.burst_period_ms`, and above 0"
    )]
    Burst {
        /// `pace.burst_factor`.
        factor: u32,
        /// `pace.burst_length_ms`.
        length_ms: u64,
        /// `pace.burst_period_ms`.
        period_ms: u64,
    },
    /// A session id that is not ten alphanumeric characters.
    #[error(
        "session number {number} does not fit ten alphanumeric characters after \
         `sessions.prefix` = {prefix:?}: shorten the prefix"
    )]
    SessionId {
        /// `sessions.prefix`.
        prefix: String,
        /// The highest number that is needed.
        number: u64,
    },
    /// A session too short for its directory.
    #[error(
        "a session of {messages} messages cannot hold the directory of {instruments} instruments: \
         it takes {needed}; lengthen `sessions.length_ms` or `sessions.messages`, or lower \
         `content.instruments`"
    )]
    ShortSession {
        /// What is configured.
        messages: u64,
        /// `content.instruments`.
        instruments: u16,
        /// The least number of messages.
        needed: u64,
    },
    /// A session that runs past midnight.
    #[error(
        "a session that opens at {opens_at_s} s and lasts {length_s} s runs past midnight, where \
         its time stamps would go back"
    )]
    PastMidnight {
        /// `content.opens_at_s`.
        opens_at_s: u32,
        /// Its length in seconds.
        length_s: u64,
    },
    /// A number out of range.
    #[error("`{key}` must be {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// Unicast and multicast, or several groups, on one line.
    #[error("`{key}`: give any number of unicast addresses, or one multicast group (IPv4)")]
    Destinations {
        /// The key.
        key: String,
    },
}

impl ExchangeConfig {
    /// Refuses what cannot be run, with the key that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.content {
            ContentConfig::Flow(flow) => self.check_with(Some(flow)),
            ContentConfig::Binaryfile { .. } => self.check_with(None),
        }
    }

    /// The same for content that may not be what `content` says: generated flow,
    /// or (`None`) a recording.
    pub(crate) fn check_with(&self, flow: Option<FlowConfig>) -> Result<(), ConfigError> {
        self.faults()?;
        self.requests.ignore_ppm()?;
        self.check_ranges()?;
        self.check_destinations()?;
        let messages = self.plan()?.messages;
        let SessionsConfig {
            prefix,
            first_number,
            count,
            ..
        } = &self.sessions;
        let last_number = first_number.saturating_add(count.unwrap_or(1).saturating_sub(1));
        if SessionId::numbered(prefix, last_number).is_none() {
            let prefix = prefix.clone();
            return Err(ConfigError::SessionId {
                prefix,
                number: last_number,
            });
        }
        flow.map_or(Ok(()), |flow| self.check_flow(flow, messages))
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let range = |ok: bool, key, range| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Range { key, range })
            }
        };
        let payloads = mold::MIN_PAYLOAD..=mold::MAX_PAYLOAD;
        let s = &self.sessions;
        range(
            payloads.contains(&self.mold.max_payload),
            "mold.max_payload",
            "128 to 65507",
        )?;
        range(
            (1..=100_000_000).contains(&self.requests.messages),
            "requests.messages",
            "1 to 100000000",
        )?;
        for soup in self.soup.iter().chain(&self.glimpse) {
            let plain = |text: &str, most| {
                text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
            };
            range(
                plain(&soup.user, 6),
                "soup.user",
                "up to 6 characters of ASCII, no space",
            )?;
            range(
                plain(&soup.password, 10),
                "soup.password",
                "up to 10 characters of ASCII, no space",
            )?;
            range(
                (1..=1_024).contains(&soup.max_clients),
                "soup.max_clients",
                "1 to 1024",
            )?;
        }
        range(self.mold.heartbeat_ms > 0, "mold.heartbeat_ms", "above 0")?;
        range(
            s.count != Some(0),
            "sessions.count",
            "above 0, or absent for no end",
        )?;
        range(s.length_ms > 0, "sessions.length_ms", "above 0")?;
        range(s.first_sequence > 0, "sessions.first_sequence", "above 0")?;
        range(
            s.first_sequence <= u64::MAX / 2,
            "sessions.first_sequence",
            "below 2^63",
        )?;
        range(self.line_a.max_queued > 0, "line_a.max_queued", "above 0")?;
        range(self.line_b.max_queued > 0, "line_b.max_queued", "above 0")
    }

    fn check_destinations(&self) -> Result<(), ConfigError> {
        for (name, line) in [("line_a", &self.line_a), ("line_b", &self.line_b)] {
            let groups = line
                .destinations
                .iter()
                .filter(|to| to.ip().is_multicast())
                .count();
            let v6 = line.destinations.iter().any(|to| is_v6_group(to.ip()));
            if v6 || (groups > 0 && line.destinations.len() > 1) {
                return Err(ConfigError::Destinations {
                    key: format!("{name}.destinations"),
                });
            }
        }
        Ok(())
    }

    fn check_flow(&self, flow: FlowConfig, messages: u64) -> Result<(), ConfigError> {
        let FlowConfig {
            instruments,
            orders_per_instrument,
            opens_at_s,
        } = flow;
        if instruments == 0 || orders_per_instrument == 0 {
            let key = "content.instruments and content.orders_per_instrument";
            return Err(ConfigError::Range {
                key,
                range: "above 0",
            });
        }
        let needed = flow.min_messages();
        if messages < needed {
            return Err(ConfigError::ShortSession {
                messages,
                instruments,
                needed,
            });
        }
        let length_s = self
            .pace()?
            .time_of(messages)
            .div_ceil(crate::pace::SECOND_NS);
        if u64::from(opens_at_s).saturating_add(length_s) >= DAY_S {
            return Err(ConfigError::PastMidnight {
                opens_at_s,
                length_s,
            });
        }
        Ok(())
    }
}

fn is_v6_group(address: IpAddr) -> bool {
    address.is_ipv6() && address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ExchangeConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_empty_document_is_an_exchange() {
        let config = parse("");
        assert_eq!(config, ExchangeConfig::default());
        assert_eq!(config.check(), Ok(()));
        assert_eq!(
            config.plan().unwrap().messages,
            1_000_000,
            "10 s at 100,000 per second"
        );
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for text in [
            "sede = 1",
            "[line_a]\nlos = 0.1",
            "[content]\nkind = \"flow\"\nsize = 1",
        ] {
            let error = toml::from_str::<ExchangeConfig>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains("unknown field"), "{text}: {error}");
        }
    }

    #[test]
    fn each_wrong_value_is_refused_with_its_key() {
        let table = [
            ("[line_b]\nloss = 1.1", "line_b.loss"),
            ("[pace]\nburst_factor = 10", "pace.burst_factor"),
            ("[sessions]\nprefix = \"TENLETTERS\"", "sessions.prefix"),
            (
                "[sessions]\nprefix = \"S\"\nfirst_number = 1000000000",
                "sessions.prefix",
            ),
            ("[sessions]\nmessages = 6007", "content.instruments"),
            ("[sessions]\nlength_ms = 60000000", "midnight"),
            ("[sessions]\ncount = 0", "sessions.count"),
            ("[mold]\nmax_payload = 127", "mold.max_payload"),
            ("[mold]\nheartbeat_ms = 0", "mold.heartbeat_ms"),
            (
                "[[soup]]\naddress = \"127.0.0.1:1\"\nuser = \"SEVENCH\"",
                "soup.user",
            ),
            (
                "[[glimpse]]\naddress = \"127.0.0.1:1\"\npassword = \"a b\"",
                "soup.password",
            ),
            (
                "[[soup]]\naddress = \"127.0.0.1:1\"\nmax_clients = 0",
                "soup.max_clients",
            ),
            (
                "[line_a]\ndestinations = [\"239.1.1.1:1\", \"127.0.0.1:1\"]",
                "line_a.destinations",
            ),
            (
                "[line_a]\ndestinations = [\"[ff02::1]:1\"]",
                "line_a.destinations",
            ),
        ];
        for (text, culprit) in table {
            let error = parse(text).check().unwrap_err().to_string();
            assert!(error.contains(culprit), "{text}: {error}");
        }
        assert_eq!(parse("[sessions]\nmessages = 6008").check(), Ok(()));
    }

    #[test]
    fn session_ids_count_and_start_over() {
        let mut config = parse("[sessions]\nfirst_number = 999999999");
        let id = |config: &ExchangeConfig, index| config.session_id(index).unwrap().to_string();
        assert_eq!(id(&config, 0), "S999999999");
        assert_eq!(id(&config, 1), "S000000000");
        config.sessions.prefix.clear();
        assert_eq!(id(&config, 1), "1000000000");
    }
}
