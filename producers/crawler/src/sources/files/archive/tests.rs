//! Archives as others make them, and as nobody should.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 1;
const UTF8_NAME: u16 = 1 << 11;
const LINK: u32 = 0o120_777 << 16;

/// An entry of an archive that is made by hand (APPNOTE.TXT, sections 4.3.7 and 4.3.12).
struct Part<'a> {
    name: &'a [u8],
    content: &'a [u8],
    method: u16,
    flags: u16,
    attributes: u32,
    crc: Option<u32>,
}

fn part<'a>(name: &'a str, content: &'a str) -> Part<'a> {
    let name = name.as_bytes();
    Part { name, content: content.as_bytes(), method: DEFLATED, flags: UTF8_NAME, attributes: 0, crc: None }
}

fn zip(parts: &[Part<'_>]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        let mut crc = Crc::new();
        crc.update(part.content);
        let mut packed = part.content.to_vec();
        if part.method == DEFLATED {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(part.content).unwrap();
            packed = encoder.finish().unwrap();
        }
        let offset = archive.len() as u32;
        // Version, flags, method, time, date, checksum, sizes, lengths of name and extra field: of both headers.
        let mut common = Vec::new();
        for number in [20, part.flags, part.method, 0, 0x21] {
            common.extend(number.to_le_bytes());
        }
        let sizes = [part.crc.unwrap_or(crc.sum()), packed.len() as u32, part.content.len() as u32];
        common.extend(sizes.iter().flat_map(|number| number.to_le_bytes()));
        common.extend((part.name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(part.name);
        archive.extend(&packed);
        directory.extend(b"PK\x01\x02");
        // Made by version 3.0 on Unix.
        directory.extend([0x1e, 3]);
        directory.extend(&common);
        // Lengths of the comment and number of the disk, internal attributes.
        directory.extend([0; 6]);
        directory.extend(part.attributes.to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(part.name);
    }
    let begin = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(END_SIGNATURE);
    archive.extend([0; 4]);
    let count = parts.len() as u16;
    archive.extend([count, count].iter().flat_map(|number| number.to_le_bytes()));
    archive.extend([directory.len() as u32, begin].iter().flat_map(|number| number.to_le_bytes()));
    archive.extend([0; 2]);
    archive
}

fn limits() -> FilesOptions {
    FilesOptions { max_file_bytes: 1000, max_entries: 5, max_unpacked_bytes: 2500, max_ratio: 200 }
}

type Told = Vec<(String, Result<String, String>)>;

fn told_within(bytes: &[u8], limits: &FilesOptions) -> Result<Told, String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut told = Vec::new();
    let read = read(
        file,
        limits,
        |path| path.ends_with(".md"),
        |Entry { path, content }| {
            told.push((path.to_owned(), content.map(|content| String::from_utf8(content).unwrap())));
            Ok(())
        },
    );
    match read {
        Ok(()) => Ok(told),
        Err(Stopped::Refused(reason)) => {
            assert!(told.is_empty(), "refused after some of it was told: {told:?}");
            Err(reason)
        }
        Err(Stopped::Unread(error)) => panic!("{error}"),
        Err(Stopped::By(error)) => panic!("{error}"),
    }
}

fn told(bytes: &[u8]) -> Result<Told, String> {
    told_within(bytes, &limits())
}

fn texts(told: Told) -> Vec<(String, String)> {
    told.into_iter().map(|(path, content)| (path, content.unwrap())).collect()
}

#[test]
fn what_is_wanted_is_told_packed_or_not_and_the_rest_is_not_opened() {
    let damaged_but_unwanted = Part { crc: Some(1), ..part("pictures/a.png", "x") };
    let stored = Part { method: STORED, ..part("posts/é.md", "two") };
    let archive = zip(&[part("posts/", ""), part("posts/a.md", "one"), damaged_but_unwanted, stored]);
    let expected = [("posts/a.md", "one"), ("posts/é.md", "two")];
    assert_eq!(texts(told(&archive).unwrap()), expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    assert_eq!(told(&zip(&[])).unwrap(), []);
}

#[test]
fn an_archive_that_another_program_made_is_read() {
    // By Info-ZIP: `printf hello > posts/a.md && zip -X -r a.zip posts`.
    let made = "504b03040a0000000000b0747d5d00000000000000000000000006000000706f7374732f504b03040a0000000000b074\
                7d5d86a6103605000000050000000a000000706f7374732f612e6d6468656c6c6f504b01021e030a0000000000b0747d\
                5d000000000000000000000000060000000000000000001000ed4100000000706f7374732f504b01021e030a00000000\
                00b0747d5d86a6103605000000050000000a0000000000000001000000a48124000000706f7374732f612e6d64504b05\
                0600000000020002006c000000510000000000";
    let byte = |at: usize| u8::from_str_radix(&made[2 * at..2 * at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..made.len() / 2).map(byte).collect();
    assert_eq!(texts(told(&bytes).unwrap()), [("posts/a.md".to_owned(), "hello".to_owned())]);
}

#[test]
fn names_that_lead_elsewhere_refuse_the_archive_whether_they_are_wanted_or_not() {
    for name in [
        "/etc/passwd",
        "../a.md",
        "a/../../b.md",
        "./a.md",
        "a//b.md",
        "C:/a.md",
        "c:a.md",
        "a\\b.md",
        "..\\a.md",
        "a\0.md",
        "a\nb.md",
        "",
    ] {
        let reason = told(&zip(&[part("good.md", "text"), part(name, "x")])).expect_err(name);
        assert!(!reason.is_empty());
    }
    let latin = Part { name: b"caf\xE9.md", flags: 0, ..part("", "x") };
    assert!(told(&zip(&[latin])).unwrap_err().contains("UTF-8"));
}

#[test]
fn links_encryption_and_names_that_are_there_twice_refuse_the_archive() {
    let link = Part { attributes: LINK, method: STORED, ..part("link.md", "/etc/passwd") };
    assert!(told(&zip(&[link])).unwrap_err().contains("link"));
    let encrypted = Part { flags: UTF8_NAME | ENCRYPTED, ..part("a.md", "x") };
    assert!(told(&zip(&[encrypted])).unwrap_err().contains("encrypted"));
    assert!(told(&zip(&[part("a.md", "1"), part("a.md", "2")])).unwrap_err().contains("same name"));
    assert!(told(&zip(&[part("a.md", "1"), part("A.MD", "2")])).unwrap_err().contains("case"));
}

#[test]
fn what_stands_before_or_after_the_archive_refuses_it() {
    let archive = zip(&[part("a.md", "x")]);
    let before = [b"#!/bin/sh\n".as_slice(), &archive].concat();
    assert!(told(&before).is_err());
    let after = [archive.as_slice(), b"more"].concat();
    assert!(told(&after).unwrap_err().contains("after"));
    assert!(told(&archive[..archive.len() - 5]).is_err());
    assert!(told(b"").is_err() && told(b"no archive").is_err());
}

#[test]
fn sizes_and_numbers_are_bounded_by_what_comes_out() {
    let large = "x".repeat(1001);
    let told_large = told(&zip(&[part("a.md", &large), part("b.md", "small")])).unwrap();
    assert!(told_large[0].1.as_ref().unwrap_err().contains("files.max_file_bytes"));
    assert_eq!(told_large[1].1.as_deref(), Ok("small"), "one that is too large is a failed file");

    let text = "y".repeat(900);
    let many: Vec<_> = ["a.md", "b.md", "c.md"].iter().map(|name| part(name, &text)).collect();
    assert!(told(&zip(&many)).unwrap_err().contains("files.max_unpacked_bytes"));
    let too_large: Vec<_> = ["a.md", "b.md", "c.md"].iter().map(|name| part(name, &large)).collect();
    let reason = told(&zip(&too_large)).unwrap_err();
    assert!(reason.contains("files.max_unpacked_bytes"), "what is too large comes out too: {reason}");
    let names: Vec<String> = (0..6).map(|number| format!("{number}.png")).collect();
    let parts: Vec<_> = names.iter().map(|name| part(name, "")).collect();
    assert!(told(&zip(&parts)).unwrap_err().contains("files.max_entries"));

    let bomb = "0".repeat(3 << 20);
    let generous = FilesOptions { max_file_bytes: 2 << 20, max_unpacked_bytes: 1 << 30, ..limits() };
    for parts in [vec![part("a.md", &bomb)], vec![part("a.md", "small"), part("b.md", &bomb)]] {
        assert!(told_within(&zip(&parts), &generous).unwrap_err().contains("files.max_ratio"));
    }
}

#[test]
fn a_damaged_or_unknown_entry_is_a_failed_file() {
    let damaged = Part { crc: Some(1), ..part("a.md", "text") };
    let unknown = Part { method: 12, ..part("b.md", "text") };
    let told = told(&zip(&[damaged, unknown, part("c.md", "good")])).unwrap();
    assert!(told[0].1.as_ref().unwrap_err().contains("checksum"), "{told:?}");
    assert!(told[1].1.as_ref().unwrap_err().contains("method"), "{told:?}");
    assert_eq!(told[2].1.as_deref(), Ok("good"));
}

proptest::proptest! {
    #[test]
    fn a_damaged_archive_is_refused_or_read_without_a_panic(at in 0.0..1.0_f64, put in proptest::collection::vec(proptest::num::u8::ANY, 1..12)) {
        let mut archive = zip(&[part("a.md", "text of a"), part("folder/b.md", "text of b")]);
        let start = (at * archive.len() as f64) as usize;
        let end = (start + put.len()).min(archive.len());
        archive.splice(start..end, put);
        let _ = told(&archive);
    }
}
