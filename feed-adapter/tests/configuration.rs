//! Is a wrong configuration refused where it is wrong, and does the digest see what it must?

use twinfeed_feed_adapter::config::{Config, DIGEST_KEYS, EXAMPLE, InputConfig, Overrides};
use twinfeed_feed_adapter::{ConfigError, Role};

const GOOD: &str = r#"feed = "f"
format = "itch50"
trading_day = "2019-12-30"
publisher_id = 2
[[source]]
sid = 1
type = "moldudp64"
line.A = { address = "127.0.0.1:26400" }
[publish]
heartbeat = "10ms"
[pair]
beat = "200ms"
[stream_admin]
url = "http://127.0.0.1:7400"
[active]
link = "127.0.0.1:7411"
[backup]
link = "127.0.0.1:7412"
"#;

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Role::Active, text, &Overrides::default())
}

fn edited(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

#[test]
fn a_fault_is_named_with_its_line_its_key_and_a_remedy() {
    // What is changed, to what, the line it is found on, the key, a part of the fault or remedy.
    let table = [
        (
            "publisher_id = 2",
            "publisher_id = 70000",
            4,
            "publisher_id",
            "correct the value",
        ),
        (
            "publisher_id = 2",
            "publisher = 2",
            4,
            "publisher",
            "unknown field",
        ),
        (
            "publisher_id = 2\n",
            "",
            1,
            "",
            "missing field `publisher_id`",
        ),
        (
            "2019-12-30",
            "30.12.2019",
            3,
            "trading_day",
            "write it as in `2019-12-30`",
        ),
        ("itch50", "itch41", 2, "format", "itch50"),
        ("\"10ms\"", "\"10\"", 10, "heartbeat", "ns, us, ms, s or m"),
        (
            "\"10ms\"",
            "\"1us\"",
            10,
            "publish.heartbeat",
            "between 10us and 10s",
        ),
        (
            "\"200ms\"",
            "\"2m\"",
            12,
            "pair.beat",
            "between 1ms and 60s",
        ),
        ("[pair]", "[pair]\nsync = 3", 12, "sync", "unknown field"),
        (
            "127.0.0.1:26400",
            "127.0.0.1",
            8,
            "line.A",
            "invalid socket address",
        ),
        (
            "line.A",
            "line.B",
            0,
            "source.line.A",
            "missing in source 1",
        ),
        ("sid = 1", "sid = -1", 6, "sid", "correct the value"),
        (
            "type = \"moldudp64\"",
            "type = \"pcap\"",
            0,
            "source.file",
            "name the capture",
        ),
        (
            "[publish]",
            "[publish]\nmode = \"multicast\"",
            0,
            "source.group",
            "GROUP:PORT",
        ),
        (
            "line.A = { address = \"127.0.0.1:26400\" }",
            "line.A = { address = \"127.0.0.1:26400\", soup = \"127.0.0.1:1\" }",
            0,
            "source.soup",
            "with `user`",
        ),
        (
            "line.A = { address = \"127.0.0.1:26400\" }",
            "line.A = { address = \"127.0.0.1:26400\", glimpse = \"127.0.0.1:1\" }",
            0,
            "source.glimpse",
            "with `user`",
        ),
        (
            "[publish]",
            "[source.glimpse]\nuser = \"TWIN\"\n[publish]",
            0,
            "source.glimpse",
            "to line.A or line.B",
        ),
        (
            "[publish]",
            "[source.soup]\nuser = \"TWIN\"\n[publish]",
            0,
            "source.soup",
            "to line.A or line.B",
        ),
        (
            "[publish]",
            "[publish]\nmax_datagram = 1201",
            10,
            "publish.max_datagram",
            "multiple of 8",
        ),
        (
            "127.0.0.1:7411",
            "0.0.0.0:7411",
            16,
            "link",
            "that the peer can reach",
        ),
        (
            "[active]",
            "[active]\nidle = \"doze\"",
            16,
            "idle",
            "unknown word `doze`",
        ),
        ("[stream_admin]", "[stream_admin", 13, "", ""),
    ];
    for (from, to, line, key, part) in table {
        let error = read(&edited(from, to)).unwrap_err();
        let text = error.to_string();
        let expected = (line > 0).then_some(line);
        assert_eq!(error.line, expected, "{text}");
        assert_eq!(error.key, key, "{text}");
        assert!(
            text.contains(part) && text.starts_with("feed.toml"),
            "{text}"
        );
        assert!(!error.remedy.is_empty(), "{text}");
    }
}

#[test]
fn two_sources_need_two_sids() {
    let second =
        "[[source]]\nsid = 1\ntype = \"moldudp64\"\nline.A = { address = \"127.0.0.1:1\" }\n";
    let error = read(&edited("[publish]", &format!("{second}[publish]"))).unwrap_err();
    assert_eq!(
        (error.key.as_str(), error.fault.as_str()),
        ("source.sid", "sid 1 stands twice")
    );
}

/// Every key that changes what comes out changes the digest, and no other key does.
#[test]
fn the_digest_sees_conversion_and_nothing_else() {
    let source = "type = \"moldudp64\"";
    let file = "type = \"binaryfile\"\nfile = \"x\"";
    let capture = "type = \"pcap\"\nfile = \"x\"";
    let pair = "[pair]\nsync_threshold = 1001";
    let table = [
        ("trading_day", "2019-12-30", "2019-12-31", true),
        ("publisher_id", "publisher_id = 2", "publisher_id = 3", true),
        (
            "max_open_orders",
            "publisher_id = 2",
            "publisher_id = 2\nmax_open_orders = 7",
            true,
        ),
        (
            "publish.max_datagram",
            "[publish]",
            "[publish]\nmax_datagram = 1400",
            true,
        ),
        ("pair.sync_threshold", "[pair]", pair, true),
        (
            "pair.transmit",
            "[pair]",
            "[pair]\ntransmit = \"standby\"",
            true,
        ),
        (
            "the mode that both have by default",
            "[pair]",
            "[pair]\ntransmit = \"hot\"",
            false,
        ),
        ("source.sid", "sid = 1", "sid = 2", true),
        ("source.type", source, file, true),
        (
            "source.first_sseq",
            "sid = 1",
            "sid = 1\nfirst_sseq = 2",
            true,
        ),
        // A capture of MoldUDP64 has MoldUDP64's numbers.
        ("a replay", source, capture, false),
        ("feed", "\"f\"", "\"g\"", false),
        ("line", "26400", "26401", false),
        (
            "line.B",
            "[publish]",
            "line.B = { address = \"127.0.0.1:9\" }\n[publish]",
            false,
        ),
        (
            "reorder_hold",
            "sid = 1",
            "sid = 1\nreorder_hold = \"9ms\"",
            false,
        ),
        (
            "profile",
            "publisher_id = 2",
            "publisher_id = 2\nprofile = \"low-latency\"",
            false,
        ),
        ("heartbeat", "\"10ms\"", "\"11ms\"", false),
        ("beat", "\"200ms\"", "\"201ms\"", false),
        ("url", "7400", "7401", false),
        ("link", "7411", "7413", false),
        ("idle", "[active]", "[active]\nidle = \"spin\"", false),
    ];
    let digest = read(GOOD).unwrap().digest();
    for (what, from, to, changes) in table {
        let config = read(&edited(from, to)).unwrap();
        assert_eq!(config.digest() != digest, changes, "{what}");
    }
    let covered =
        |key: &&&str| **key == "format" || table.iter().any(|row| row.0 == **key && row.3);
    assert_eq!(
        DIGEST_KEYS.iter().filter(covered).count(),
        DIGEST_KEYS.len()
    );
    let backup = Config::parse(Role::Backup, GOOD, &Overrides::default()).unwrap();
    assert_eq!(backup.digest(), digest);
    assert_ne!(
        read(&edited("\"f\"", "\"g\"")).unwrap().feed_digest(),
        backup.feed_digest()
    );
}

#[test]
fn a_standby_pair_is_told_so_with_its_limits() {
    let standby = |more: &str| {
        let table = format!("[pair]\ntransmit = \"standby\"\n{more}");
        read(&edited("[pair]", &table))
    };
    let config = standby("standby_replay = 50\nstandby_hold_down = \"3s\"").unwrap();
    let of = config.pair.standby().unwrap();
    assert_eq!(of.retain.replay, 50);
    assert_eq!(of.limits.hold_down, std::time::Duration::from_secs(3));
    assert_eq!(of.limits.report_every, config.publish.heartbeat);
    assert!(read(GOOD).unwrap().pair.standby().is_none());
    for (more, key) in [
        ("standby_replay = 65536", "pair.standby_retain"),
        ("standby_retain_bytes = 1000", "pair.standby_retain_bytes"),
        ("standby_missed_reports = 0", "pair.standby_missed_reports"),
    ] {
        assert_eq!(standby(more).unwrap_err().key, key);
    }
    // How often the active's word is heard is common to both.
    let slower = edited("\"10ms\"", "\"5ms\"");
    let slower = slower.replace("[pair]", "[pair]\ntransmit = \"standby\"");
    assert_ne!(read(&slower).unwrap().digest(), config.digest());
}

#[test]
fn the_later_table_wins_key_by_key() {
    let text = edited(
        "[active]",
        "[host]\ncore = 1\nlog = \"warn\"\n[active]\ncore = 2",
    );
    let overrides = Overrides {
        log: Some("debug".to_owned()),
        ..Overrides::default()
    };
    let host = Config::parse(Role::Active, &text, &overrides).unwrap().host;
    assert_eq!((host.core, host.log.as_str()), (Some(2), "debug"));
    let host = Config::parse(Role::Backup, &text, &Overrides::default())
        .unwrap()
        .host;
    assert_eq!((host.core, host.log.as_str()), (Some(1), "warn"));
}

#[test]
fn a_host_finds_its_own_lines() {
    let text = format!("{GOOD}[[backup.line]]\nsid = 1\nline = \"A\"\naddress = \"127.0.0.1:5\"\n");
    let line = |role| {
        let config = Config::parse(role, &text, &Overrides::default()).unwrap();
        match &config.sources[0].input {
            InputConfig::Live([Some(line), None]) => line.address.port(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((line(Role::Active), line(Role::Backup)), (26_400, 5));
}

#[test]
fn a_ring_has_a_power_of_two_of_slots_or_is_refused_by_name() {
    let with = |slots: &str| {
        read(&format!(
            "{GOOD}\n[ring]\nenabled = true\nslots = {slots}\n"
        ))
    };
    assert!(with("16384").unwrap().ring.enabled);
    for wrong in ["0", "1000", "3221225472"] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(
            error.contains("ring.slots") && error.contains("power of two"),
            "{error}"
        );
    }
    let error = with("262144").unwrap_err().to_string();
    assert!(
        error.contains("ring.slots") && error.contains("subscribers map"),
        "{error}"
    );
    assert!(with("131072").is_ok());
    assert!(
        !read(GOOD).unwrap().ring.enabled,
        "who says nothing has none"
    );
}

#[test]
fn each_adapter_knows_where_the_other_listens() {
    let peer = |role| {
        let config = Config::parse(role, GOOD, &Overrides::default()).unwrap();
        (config.host.link.port(), config.pair.peer.unwrap().port())
    };
    assert_eq!(peer(Role::Active), (7_411, 7_412));
    assert_eq!(peer(Role::Backup), (7_412, 7_411));
}

/// The example says what the defaults are: with every comment taken as a setting it means the same.
#[test]
fn the_example_is_a_configuration_and_tells_the_defaults() {
    let config = read(EXAMPLE).unwrap();
    assert_eq!(config.feed.as_str(), "nasdaq-totalview");
    let settings = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest)
            if rest.starts_with(|c: char| c.is_ascii_lowercase())
                && rest.contains(" = ")
                && ![
                    "line.A",
                    "file",
                    "soup.",
                    "glimpse.",
                    "group",
                    "token_file",
                    "ca_file",
                    "profile",
                    "core",
                    "publish_interface",
                    "sid",
                    "line ",
                    "interface",
                    "link_advertised",
                    "directory",
                ]
                .iter()
                .any(|key| rest.starts_with(key)) =>
        {
            rest
        }
        _ => line,
    });
    let explicit: Vec<_> = settings.collect();
    let explicit = read(&explicit.join("\n")).unwrap();
    assert_eq!(format!("{explicit:?}"), format!("{config:?}"));
}

/// So does it of SoupBinTCP and snapshot servers, once a line has one.
#[test]
fn the_example_tells_the_defaults_of_a_lines_servers() {
    for kind in ["soup", "glimpse"] {
        let line = "line.A = { address = \"127.0.0.1:26400\" ";
        let with_one =
            format!("line.A = {{ address = \"127.0.0.1:26400\", {kind} = \"127.0.0.1:1\" ");
        let served = EXAMPLE.replace(line, &with_one);
        assert_ne!(served, EXAMPLE);
        let key = |key: &str| format!("{kind}.{key}");
        let with = |wanted: &dyn Fn(&str) -> bool| {
            let settings = served.lines().map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with(&key("")) && wanted(rest) => rest,
                _ => line,
            });
            read(&settings.collect::<Vec<_>>().join("\n")).unwrap()
        };
        let short = with(&|line| line.starts_with(&key("user")));
        let explicit = with(&|line| !line.starts_with(&key("password_file")));
        assert_eq!(format!("{explicit:?}"), format!("{short:?}"));
        let source = &short.sources[0];
        if kind == "soup" {
            let soup = source.soup.as_ref().unwrap();
            assert_eq!((soup.user.as_str(), soup.past), ("TWIN", true));
        } else {
            let glimpse = source.glimpse.as_ref().unwrap();
            let said = (glimpse.user.as_str(), glimpse.any_session);
            assert_eq!(said, ("TWIN", false));
            assert_eq!(source.glimpse_servers()[0].unwrap().port(), 1);
        }
        assert_eq!(
            short.digest(),
            read(EXAMPLE).unwrap().digest(),
            "it is of the host"
        );
        for wrong in ["SEVENCH", "A B", ""] {
            let line = format!("# {} = \"TWIN\"", key("user"));
            let wrong = served.replace(&line, &format!("{} = \"{wrong}\"", key("user")));
            let error = read(&wrong).unwrap_err();
            assert_eq!(error.key, format!("source.{kind}.user"));
        }
    }
}
