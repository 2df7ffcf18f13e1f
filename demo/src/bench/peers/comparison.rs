//! The table that compares the peers with ours.

use super::super::ratio;
use super::super::rows::{Row, number};
use serde_json::{Value, json};
use std::fmt;

/// Peers by the beginning of their rows' names.
const PEERS: [(&str, &str); 3] = [("postgres", "PostgreSQL"), ("redis", "Redis"), ("jetstream", "JetStream")];

/// A shape of work: the end of the peers' names of it, and our row.
struct Shape {
    name: &'static str,
    suffix: &'static str,
    ours: &'static str,
}

const SHAPES: [Shape; 6] = [
    Shape { name: "lag p50", suffix: "lag_p50", ours: "lag_p50" },
    Shape { name: "lag p99", suffix: "lag_p99", ours: "lag_p99" },
    Shape { name: "lone, ours over HTTPS", suffix: "lone_per_s", ours: "https_lone_per_s" },
    Shape { name: "lone, ours in process", suffix: "lone_per_s", ours: "lone_per_s" },
    Shape { name: "100 in flight, ours over HTTPS", suffix: "in_flight_per_s", ours: "https_single_once_more_per_s" },
    Shape { name: "catch-up", suffix: "catch_up_per_s", ours: "catch_up_new_per_s" },
];

/// The rows of one shape.
struct Line<'a> {
    shape: &'static str,
    ours: Option<&'a Row>,
    /// Names of the peers and their rows.
    peers: [(&'static str, Option<&'a Row>); PEERS.len()],
}

/// The shapes of work that were measured, ours and theirs.
///
/// Each figure is divided by the floor that was measured right before it, so that a disk that has become slower in between
/// does not decide.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a>(pub &'a [Row]);

impl Comparison<'_> {
    fn row(&self, id: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.id() == id)
    }

    /// Returns each shape with ours and the peers' rows of it.
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        SHAPES.iter().map(|shape| {
            let peers = PEERS.map(|(prefix, name)| (name, self.row(&format!("{prefix}_{}", shape.suffix))));
            Line { shape: shape.name, ours: self.row(shape.ours), peers }
        })
    }

    /// Returns the table as a list of objects.
    pub fn to_json(&self) -> Value {
        let line = |Line { shape, ours, peers }: Line<'_>| {
            let peers: Vec<_> = peers.into_iter().filter_map(|(name, row)| Some((name, row?))).collect();
            let peer = |(name, row): &(&str, &Row)| {
                json!({
                    "peer": name,
                    "measured": row.value(),
                    "of_floor": row.ratio(),
                    "of_ours": ours.map(|ours| ratio(row.value(), ours.value())),
                })
            };
            json!({
                "shape": shape,
                "unit": ours.map(Row::unit).or(peers.first().map(|(_, row)| row.unit())),
                "ours": ours.map(|row| json!({ "measured": row.value(), "of_floor": row.ratio() })),
                "peers": peers.iter().map(peer).collect::<Vec<_>>(),
            })
        };
        self.lines().map(line).collect()
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<32}{:<28}", "shape", "ours")?;
        PEERS.iter().try_for_each(|(_, name)| write!(f, "{name:<40}"))?;
        writeln!(f)?;
        for Line { shape, ours, peers } in self.lines() {
            write!(f, "{shape:<32}{:<28}", ours.map_or("-".to_owned(), figure))?;
            for (_, row) in peers {
                let text = row.map_or("-".to_owned(), |row| match ours {
                    Some(ours) => format!("{} = {:.2} x ours", figure(row), ratio(row.value(), ours.value())),
                    None => figure(row),
                });
                write!(f, "{text:<40}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Returns a figure with its ratio to its floor.
fn figure(row: &Row) -> String {
    let of_floor = row.ratio().map_or(String::new(), |ratio| format!(" ({ratio:.2} x floor)"));
    format!("{} {}{of_floor}", number(row.value()), row.unit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a shape that names a row that does not exist under that name, and a ratio the wrong way round.
    #[test]
    fn a_peer_is_divided_by_ours_in_the_same_shape() {
        let rows = [
            Row::new("lag_p50", "lag p50", 2.0, "ms").over("floor", 1.0),
            Row::new("redis_lag_p50", "Redis: lag p50", 3.0, "ms").over("floor", 2.0),
        ];
        let table = Comparison(&rows).to_json();
        let redis = json!({ "peer": "Redis", "measured": 3.0, "of_floor": 1.5, "of_ours": 1.5 });
        assert_eq!(table[0]["peers"], json!([redis]));
        assert_eq!(table[0]["ours"], json!({ "measured": 2.0, "of_floor": 2.0 }));
        assert_eq!(table[1]["ours"], Value::Null);
        let text = Comparison(&rows).to_string();
        assert!(text.contains("3 ms (1.50 x floor) = 1.50 x ours"), "{text}");
    }
}
