//! What keeps a ledger small: hours become days, old buckets go, and beyond its bound rows lose their names: the
//! heaviest and the most recent keep theirs, the sums of the others go to the client without a name.
use super::schema::{ADD_TO_TALLY, ADD_TO_UPSTREAM, SUMS};
use rusqlite::{Connection, TransactionBehavior, params};

const DAY: i64 = 86_400;
/// Of a full ledger so many quarters keep their names, so that it is not folded at each flush.
const KEPT_QUARTERS: usize = 3;
/// Pages given back to the file system at once.
const PAGES: i64 = 4096;

/// Deletes buckets that ended `keep` ago, makes days of the hours of days before yesterday, and forgets what nothing
/// refers to any more.
pub(super) fn age(connection: &mut Connection, now: i64, keep: Option<i64>) -> rusqlite::Result<()> {
    let aging = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(keep) = keep {
        for table in ["tally", "upstream"] {
            aging.execute(&format!("DELETE FROM {table} WHERE bucket + width <= ?1"), [now - keep])?;
        }
        aging.execute("DELETE FROM user_agent WHERE last_seen <= ?1", [now - keep])?;
    }
    let yesterday = now - now.rem_euclid(DAY) - DAY;
    let day = "bucket - bucket % 86400";
    aging.execute(
        &format!(
            "INSERT INTO tally SELECT {day}, 86400, site, client, offer, terms, {SUMS} FROM tally
             WHERE width = 3600 AND bucket < ?1 GROUP BY {day}, site, client, offer, terms {ADD_TO_TALLY}"
        ),
        [yesterday],
    )?;
    aging.execute(
        &format!(
            "INSERT INTO upstream SELECT {day}, 86400, upstream, server, terms, sum(connections), min(first_seen),
                max(last_seen) FROM upstream
             WHERE width = 3600 AND bucket < ?1 GROUP BY {day}, upstream, server, terms {ADD_TO_UPSTREAM}"
        ),
        [yesterday],
    )?;
    for table in ["tally", "upstream"] {
        aging.execute(
            &format!("DELETE FROM {table} WHERE width = 3600 AND bucket < ?1"),
            [yesterday],
        )?;
    }
    forget(&aging)?;
    aging.commit()?;
    give_back(connection)
}

/// Rows that bear a name.
pub(super) fn named_rows(connection: &Connection) -> rusqlite::Result<usize> {
    let rows: i64 = connection
        .prepare_cached("SELECT count(*) FROM tally WHERE client <> 0")?
        .query_row([], |row| row.get(0))?;
    Ok(usize::try_from(rows).unwrap_or(0))
}

/// Where more rows bear a name than may, takes the names of the lightest and oldest. Returns how many clients have none
/// any more.
pub(super) fn fold(connection: &mut Connection, capacity: usize) -> rusqlite::Result<usize> {
    if named_rows(connection)? <= capacity {
        return Ok(0);
    }
    // half for the heaviest, half for the most recent; who is both leaves room, which the next fold fills
    let each = i64::try_from(capacity * KEPT_QUARTERS / 4 / 2).unwrap_or(i64::MAX);
    let folding = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // a key of its own, without which each row below would be looked for in all of it
    folding.execute_batch(
        "CREATE TEMP TABLE spared (
            bucket INTEGER NOT NULL, width INTEGER NOT NULL, site INTEGER NOT NULL, client INTEGER NOT NULL,
            offer INTEGER NOT NULL, terms INTEGER NOT NULL,
            PRIMARY KEY (bucket, width, site, client, offer, terms)
        ) WITHOUT ROWID",
    )?;
    let weight = "connections + requests + (bytes_in + bytes_out) / 1048576";
    for order in [
        format!("{weight} DESC"),
        format!("bucket DESC, {weight} DESC, last_seen DESC"),
    ] {
        let sql = format!(
            "INSERT OR IGNORE INTO spared SELECT bucket, width, site, client, offer, terms FROM tally WHERE client <> 0
             ORDER BY {order} LIMIT ?1"
        );
        folding.execute(&sql, [each])?;
    }
    let folded =
        "client <> 0 AND NOT EXISTS (SELECT 1 FROM spared s WHERE s.bucket = tally.bucket AND s.width = tally.width
        AND s.site = tally.site AND s.client = tally.client AND s.offer = tally.offer AND s.terms = tally.terms)";
    folding.execute(
        &format!(
            "INSERT INTO tally SELECT bucket, width, site, 0, 0, terms, {SUMS} FROM tally WHERE {folded}
             GROUP BY bucket, width, site, terms {ADD_TO_TALLY}"
        ),
        [],
    )?;
    folding.execute(&format!("DELETE FROM tally WHERE {folded}"), [])?;
    folding.execute_batch("DROP TABLE spared")?;
    let gone = forget(&folding)?;
    folding.execute(
        "UPDATE meta SET value = value + ?1 WHERE key = 'folded'",
        params![gone as i64],
    )?;
    folding.commit()?;
    give_back(connection)?;
    Ok(gone)
}

/// Dictionary entries that no row names any more; returns how many clients.
fn forget(connection: &Connection) -> rusqlite::Result<usize> {
    let gone = connection.execute(
        "DELETE FROM client WHERE id <> 0 AND id NOT IN (SELECT client FROM tally)",
        [],
    )?;
    connection.execute("DELETE FROM user_agent WHERE client NOT IN (SELECT id FROM client)", [])?;
    connection.execute(
        "DELETE FROM offer WHERE id <> 0 AND id NOT IN (SELECT offer FROM tally)",
        [],
    )?;
    connection.execute(
        "DELETE FROM terms WHERE id NOT IN (SELECT terms FROM tally UNION SELECT terms FROM upstream)",
        [],
    )?;
    connection.execute("DELETE FROM site WHERE id NOT IN (SELECT site FROM tally)", [])?;
    Ok(gone)
}

fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
