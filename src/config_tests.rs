//! The configuration against its own documentation, its layers, and what people mistype.

use super::streams::{Completion, SCAN_INTERVAL, StreamKind};
use super::*;
use model::run::RunType;

const DOCUMENTED: &str = include_str!("../config/tier0.toml");

fn read(
    text: &str,
    environment: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Config, String> {
    let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let (environment, flags) = (own(environment), own(flags));
    Layers::from_text("t.toml", text, Path::new(""), &environment, &flags)
        .and_then(|layers| layers.config())
        .map_err(|found| {
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })
}

/// `config/tier0.toml` with every setting in use.
fn everything() -> String {
    let used = |line: &str| match line.strip_prefix('#') {
        // A test of its own reads a site.
        Some(rest) if rest.starts_with("site") => String::new(),
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    DOCUMENTED.lines().map(used).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    assert_eq!(read(DOCUMENTED, &[], &[]), read("", &[], &[]));
}

#[test]
fn every_key_is_documented_and_every_documented_key_is_read() {
    let text = everything();
    let config = read(&text, &[], &[]).expect("all settings together are legal");
    assert_eq!(config.streams.len(), 1);
    assert_eq!(config.streams[0].scan_interval, SCAN_INTERVAL);
    assert_eq!(config.local.cores, Some(8));
    assert_eq!(config.eras.iter().count(), 2);
    assert!(DOCUMENTED.contains("\n#site = "));
    let document = Document::parse("tier0.toml", &text).unwrap();
    for (section, keys) in SECTIONS {
        let step = |node: &'_ Node, step: &str| match &node.value {
            Value::List(list) => list[0].get(step).cloned(),
            _ => node.get(step).cloned(),
        };
        let node = section
            .split('.')
            .try_fold(document.root.clone(), |node, key| step(&node, key));
        let node = node.unwrap_or_else(|| panic!("[{section}] is documented"));
        for key in *keys {
            assert!(step(&node, key).is_some(), "{section}.{key} is documented");
        }
    }
}

#[test]
fn a_password_never_stands_in_a_configuration() {
    let check = |url: &str, part: &str| {
        let text = format!("[store]\nurl = {url:?}\n");
        let found = read(&text, &[], &[]).unwrap_err();
        assert!(
            found.contains(part) && found.contains("t.toml:2"),
            "{found}"
        );
        let printed = found.contains(":word@") || found.contains("=word");
        assert!(!printed, "{found}");
    };
    check("postgresql://a:word@db/t0", "C009");
    check("postgresql://db/t0?user=a&password=word", "C009");
    check("file:tier0.db", "C008");
    check("mariadb://a@db", "names no database");
    let environment = [("TIER0_CFG__store__url", "mariadb://a@db/t0")];
    let config = read("", &environment, &[]).unwrap();
    assert_eq!(config.store.url.as_deref(), Some("mariadb://a@db/t0"));
}

#[test]
fn the_small_site_is_legal() {
    let config = read(include_str!("../config/sites/small.toml"), &[], &[]).unwrap();
    let stream = &config.streams[0];
    assert_eq!(
        stream.completion,
        Completion::Sidecar {
            suffix: ".jsn".into()
        }
    );
    assert!(stream.recursive);
    assert_eq!(config.instance.storage, Path::new("/var/lib/tier0/storage"));
}

#[test]
fn a_site_lies_under_the_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let sites = folder.path().join("sites");
    std::fs::create_dir(&sites).expect("a folder for sites");
    let site = "[instance]\nname = \"there\"\nstate = \"s\"\n[executor.local]\ncores = 4\n\
                [[stream]]\nname = \"daq\"\nfolder = \"in\"\nlabel = \"real\"\nrun_type = \"test\"\nrun = 1\n\
                stream = \"Muons\"\n";
    std::fs::write(sites.join("a.toml"), site).expect("a site is written");
    let text = "site = \"sites/a.toml\"\n[instance]\nname = \"here\"\n\
                [[stream]]\nname = \"daq\"\nfolder = \"own\"\n";
    let read = |text: &str, flags: &[(String, String)]| {
        let layers = Layers::from_text("t.toml", text, folder.path(), &[], flags);
        layers.and_then(|layers| layers.config())
    };
    let config = read(text, &[]).expect("both together are legal");
    assert_eq!(config.instance.name, "here");
    assert_eq!(
        config.instance.state,
        sites.join("s"),
        "relative to the site's file"
    );
    assert_eq!(config.local.cores, Some(4));
    assert_eq!(config.streams.len(), 1, "laid over each other by name");
    assert_eq!(config.streams[0].folder, folder.path().join("own"));
    assert_eq!(config.streams[0].run_type, RunType::Test);
    let path = sites.join("a.toml").display().to_string();
    let config = read("", &[("site".to_owned(), path)]).expect("a site may come by a flag");
    assert_eq!(config.instance.name, "there");
    let said = read("site = \"sites/b.toml\"\n", &[]).unwrap_err()[0].to_string();
    assert!(
        said.contains("C001") && said.contains("t.toml:1:8"),
        "{said}"
    );
    std::fs::write(sites.join("a.toml"), "[api]\nlisten = 5\n").expect("a site is written");
    let said = read(text, &[]).unwrap_err()[0].to_string();
    assert!(said.contains("a.toml:2:10"), "{said}");
}

#[test]
fn later_layers_win() {
    let text = "[api]\nlisten = \"127.0.0.1:1\"\n[executor.local]\ncores = 1\n\
                [[stream]]\nname = \"muons\"\nfolder = \"a\"\nlabel = \"real\"\n\
                profile = \"cms\"\n";
    let environment = [
        ("TIER0_CFG__api__listen", "127.0.0.1:2"),
        ("TIER0_CFG__executor__local__cores", "2"),
        ("TIER0_CFG__stream__muons__folder", "b"),
        ("TIER0_CFG__pipelines__use", "express,dqm"),
        ("TIER0_DATA", "not a setting"),
    ];
    let config = read(text, &environment, &[("api.listen", "[::1]:3")]).unwrap();
    assert_eq!(config.api.listen.to_string(), "[::1]:3");
    assert_eq!(config.local.cores, Some(2));
    assert_eq!(config.streams[0].folder, Path::new("b"));
    assert_eq!(config.pipelines.chosen.unwrap().len(), 2);
}

#[test]
fn settings_of_the_environment_that_lead_nowhere_are_told() {
    let text = "[[stream]]\nname = \"daq\"\nfolder = \"a\"\nlabel = \"real\"\nprofile = \"cms\"\n";
    for (name, part) in [
        ("TIER0_CFG__API__listen", "did you mean \"api\"?"),
        ("TIER0_CFG_api_listen", "is no setting"),
        ("tier0_cfg__api__listen", "is no setting"),
        ("TIER0_CFG__stream__dqa__folder", "did you mean \"daq\"?"),
        ("TIER0_CFG__executor__local__cores", "this is \"x\""),
    ] {
        let said = read(text, &[(name, "x")], &[]).unwrap_err();
        assert!(said.contains(part) && said.contains(name), "{said}");
    }
}

#[test]
fn paths_are_relative_to_the_file_they_stand_in() {
    let text = "[instance]\nstate = \"s\"\n[programs]\nx = \"bin/x\"\ny = \"/bin/y\"\n";
    let flags = [("instance.work".to_owned(), "w".to_owned())];
    let layers = Layers::from_text("t.toml", text, Path::new("/etc/t0"), &[], &flags).unwrap();
    let config = layers.config().unwrap();
    assert_eq!(config.instance.state, Path::new("/etc/t0/s"));
    assert_eq!(config.instance.storage, Path::new("/etc/t0/s/storage"));
    assert_eq!(config.instance.work, Path::new("w"));
    assert_eq!(config.programs["x"], Path::new("/etc/t0/bin/x"));
    assert_eq!(config.programs["y"], Path::new("/bin/y"));
}

#[test]
fn mistakes_are_told_all_at_once_where_they_were_typed() {
    let text = "[instance]\nnmae = \"x\"\nagent = 1024\n[api]\nlisten = \"0.0.0.0:80\"\n\
                [[stream]]\nname = \"a\"\nfolder = \"spool\"\nlabel = \"reel\"\n\
                [[stream]]\nname = \"b\"\nfolder = \"spool\"\nlabel = \"real\"\nprofile = \"cms\"\n\
                completion = \"rename\"\n\
                [[stream]]\nname = \"b\"\nfolder = \"spool/x\"\nlabel = \"real\"\n\
                scan_interval = 30\n\
                [[stream]]\nname = \"c\"\nfolder = \"spool/y\"\nlabel = \"real\"\n\
                pattern = \"{name}.dat\"\nrun = 5\n\
                [pipelines]\nfodler = \"x\"\n";
    let environment = [
        ("TIER0_CFG__api__socet", "x"),
        ("TIER0_CFG__executor__local__pool", "-1"),
    ];
    let said = read(text, &environment, &[("api.listen", "localhost")]).unwrap_err();
    let heads: Vec<String> = said
        .split("error[")
        .skip(1)
        .map(|one| {
            let lines: Vec<&str> = one.lines().collect();
            let hint = lines[lines.len() - 1].trim().trim_start_matches("= hint: ");
            format!(
                "{} @ {} ! {hint}",
                lines[0],
                lines[1].trim().trim_start_matches("--> ")
            )
        })
        .collect();
    let expect = [
        "T002]: [api] has no key \"socet\" @ environment:1:1 ! did you mean \"socket\"?",
        "T008]: -1 is outside the limits @ environment:1:34 ! write a whole number from 0 to 4096",
        "C002]: \"localhost\" is no address @ flags:1:12 ! write an IP address and a port, as in \
         \"127.0.0.1:8080\" or \"[::1]:8080\"",
        "T002]: [instance] has no key \"nmae\" @ t.toml:2:1 ! did you mean \"name\"?",
        "T008]: 1024 is outside the limits @ t.toml:3:9 ! write a whole number from 0 to 1023",
        "T009]: \"reel\" is no label @ t.toml:9:9 ! did you mean \"real\"? legal: real, simulated",
        "C004]: CMS files are complete when their sidecar is there @ t.toml:15:14 ! remove it: the \
         .jsn sidecar is the commit mark of a CMS file",
        "T006]: a duration carries its unit; this is a whole number @ t.toml:20:17 ! write it in \
         quotes with a unit, as in \"60s\"",
        "C005]: its folder and that of \"b\" lie in each other @ t.toml:23:10 ! give each stream \
         profile its own folder",
        "C004]: nothing says which stream its files belong to @ t.toml:25:11 ! put {stream} into \
         the pattern, or set stream = ..",
        "T002]: [pipelines] has no key \"fodler\" @ t.toml:28:1 ! did you mean \"folder\"?",
    ];
    assert_eq!(heads, expect, "{said}");
}

#[test]
fn a_journal_has_room_or_is_off() {
    let room = |value: &str| read(&format!("[instance]\njournal = {value}\n"), &[], &[]);
    let check = |value: &str, bytes: Option<u64>| {
        let config = room(value).expect("it is legal");
        assert_eq!(config.instance.journal, bytes.map(Bytes), "{value}");
    };
    check("\"1GiB\"", Some(1 << 30));
    check("\"64KiB\"", Some(64 << 10));
    check("\"off\"", None);
    assert_eq!(read("", &[], &[]).unwrap().instance.journal, None);
    let said = room("\"63KiB\"").unwrap_err();
    assert!(
        said.contains("T008") && said.contains("give it 64.0 KiB or more"),
        "{said}"
    );
    assert!(room("true").unwrap_err().contains("T007"));
}

#[test]
fn an_address_that_others_reach_must_be_meant() {
    let text = "[api]\nlisten = \"0.0.0.0:80\"\n";
    let said = read(text, &[], &[]).unwrap_err();
    assert!(
        said.contains("C003") && said.contains("t.toml:2:10"),
        "{said}"
    );
    assert!(read(&format!("{text}allow_remote = true\n"), &[], &[]).is_ok());
}

#[test]
fn a_shipped_profile_fills_in_what_a_stream_leaves_out() {
    let section = "[[stream]]\nname = \"orca\"\nfolder = \"in\"\nlabel = \"real\"\n\
                   profile = \"km3net\"\n";
    let stream = |more: &str| {
        let config = read(&format!("{section}{more}"), &[], &[]).expect("legal");
        config.streams[0].clone()
    };
    let shipped = stream("");
    assert_eq!(shipped.kind, StreamKind::Generic);
    assert_eq!(shipped.completion, Completion::Rename);
    assert_eq!(
        shipped.stream.as_ref().map(|name| name.as_str()),
        Some("DAQ")
    );
    let pattern = watch::NamePattern::parse(shipped.pattern.as_deref().expect("one")).unwrap();
    let name = b"KM3NeT_00000267_00025291_JDAQEvent_JDAQSummaryslice.root";
    assert_eq!(
        pattern.read(name).unwrap().run.map(|run| run.0),
        Some(25291)
    );
    let own = stream("stream = \"ORCA\"\ncompletion = \"close_write\"\n");
    assert_eq!(own.stream.as_ref().map(|name| name.as_str()), Some("ORCA"));
    assert_eq!(own.completion, Completion::CloseWrite);
    assert_eq!(own.pattern, shipped.pattern);
}
