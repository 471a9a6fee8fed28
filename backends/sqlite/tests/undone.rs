//! What becomes of writes that share a transaction when the disk does not take one of them.

use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use twin_sqlite::rusqlite::Connection;
use twin_sqlite::{Database, Error};

/// Set for the child process that has a limit on the size of its files: the database.
const LIMITED: &str = "TEST_LIMITED_DATABASE";

const WRITES: i64 = 12;

fn schema(tx: &Connection) -> Result<(), Error> {
    tx.execute_batch(
        "CREATE TABLE texts (write INTEGER, body BLOB);
         CREATE TABLE counters (write INTEGER PRIMARY KEY, count INTEGER NOT NULL);
         INSERT INTO counters SELECT value, 0 FROM json_each('[0,1,2,3,4,5,6,7,8,9,10,11]');",
    )?;
    Ok(())
}

/// Every third write needs no room, the others need some pages more each.
fn write(tx: &Connection, number: i64) -> Result<(), Error> {
    tx.execute("UPDATE counters SET count = count + 1 WHERE write = ?1", [number])?;
    if needs_room(number) {
        for _ in 0..2 {
            tx.execute("INSERT INTO texts VALUES (?1, zeroblob(?2))", [number, 3_000 * (1 + number % 4)])?;
        }
    }
    Ok(())
}

fn needs_room(number: i64) -> bool {
    number % 3 != 0
}

/// Hands all writes over while the writer is kept busy, so that they share a transaction.
async fn write_all(database: &Database) -> Vec<Result<(), Error>> {
    let (open, gate) = mpsc::channel::<()>();
    let keep = {
        let database = database.clone();
        async move {
            let wait = move |_: &Connection| {
                let _ = gate.recv();
                Ok::<_, Error>(())
            };
            database.write(wait).await
        }
    };
    let kept = tokio::spawn(keep);
    let writes = (0..WRITES).map(|number| {
        let database = database.clone();
        tokio::spawn(async move { database.write(move |tx| write(tx, number)).await })
    });
    let writes: Vec<_> = writes.collect();
    tokio::spawn(async move { drop(open) });
    kept.await.unwrap().unwrap();
    let mut results = Vec::new();
    for write in writes {
        results.push(write.await.unwrap());
    }
    results
}

/// How often each write is in the file: its counter, and its texts.
async fn found(database: &Database) -> Vec<(i64, i64)> {
    let read = |c: &Connection| -> Result<Vec<(i64, i64)>, Error> {
        let mut statement = c.prepare(
            "SELECT count, (SELECT count(*) FROM texts t WHERE t.write = c.write) FROM counters c ORDER BY write",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    database.read(read).await.unwrap()
}

fn check(told: &[bool], found: &[(i64, i64)]) {
    for (number, (told, found)) in told.iter().zip(found).enumerate() {
        let texts = if needs_room(number as i64) { 2 } else { 0 };
        let expected = if *told { (1, texts) } else { (0, 0) };
        assert_eq!(*found, expected, "write {number}, told {told}: {found:?}");
    }
}

#[tokio::test]
async fn a_full_database_fails_the_writes_that_do_not_fit_and_no_others() {
    let mut failed = 0;
    for room in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("twin.db")).unwrap();
        database.write(schema).await.unwrap();
        let limit = move |tx: &Connection| -> Result<(), Error> {
            let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            tx.query_row(&format!("PRAGMA max_page_count = {}", pages + room), [], |_| Ok(()))?;
            Ok(())
        };
        database.write(limit).await.unwrap();
        let results = write_all(&database).await;
        let told: Vec<bool> = results.iter().map(Result::is_ok).collect();
        check(&told, &found(&database).await);
        for (number, result) in results.iter().enumerate() {
            if let Err(error) = result {
                failed += 1;
                assert!(needs_room(number as i64), "write {number} needs no room: {error}");
                assert!(error.is_of_the_disk() && error.is_transient(), "{error:?}");
            }
        }
    }
    assert!(failed > 40, "the limit was met {failed} times");
}

#[tokio::test]
async fn writes_that_a_failing_disk_refused_are_told_so_and_are_not_there_after_a_restart() {
    if let Some(path) = std::env::var_os(LIMITED) {
        return report(Path::new(&path)).await;
    }
    let this = std::env::current_exe().unwrap();
    let name = "writes_that_a_failing_disk_refused_are_told_so_and_are_not_there_after_a_restart";
    let mut refused = 0;
    // The limit in KiB; the index of the write-ahead log alone has 32.
    for limit in (36..200).step_by(6) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("twin.db");
        Database::open(&path).unwrap().write(schema).await.unwrap();
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" --exact {name} --nocapture");
        let child = Command::new("bash").args(["-c", &script]).arg(&this).env(LIMITED, &path).output().unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        let told = said.lines().find_map(|line| line.split_once("told ")).map(|(_, told)| told.trim().to_owned());
        let told = told.unwrap_or_else(|| panic!("{limit}: {said}\n{}", String::from_utf8_lossy(&child.stderr)));
        let told: Vec<bool> = told.chars().map(|told| told == '+').collect();
        refused += told.iter().filter(|told| !**told).count();
        check(&told, &found(&Database::open(&path).unwrap()).await);
    }
    assert!(refused > 40, "{refused} writes were refused");
}

/// In the child: writes, and says what it was told.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
async fn report(path: &Path) {
    let database = Database::open(path).unwrap();
    let results = write_all(&database).await;
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.is_of_the_disk(), "{error:?}");
    }
    let told: String = results.iter().map(|result| if result.is_ok() { '+' } else { '-' }).collect();
    println!("told {told}");
}
