//! A first copy and a catch-up over each kind of bad link.

use super::fill::SimulatedYard;
use super::pair::{End, NewPair, Place};
use super::transfer::{Meter, transfer_table};
use super::{Outcome, SoakError};
use crate::processes::Programs;
use service::harness::NarrowSettings;
use std::path::Path;
use std::time::Duration;
use tokio::task::block_in_place;

/// Maximum time of a copy. All six together take less than a quarter of an hour if each link carries what it can.
const COPY_LIMIT: Duration = Duration::from_secs(400);
/// Time between two payloads of the yard.
const PAYLOAD_INTERVAL: Duration = Duration::from_millis(500);

/// A link, with sizes that it carries in some minutes.
struct Case {
    name: &'static str,
    settings: NarrowSettings,
    /// Payloads before the first copy.
    first: usize,
    /// Payloads while the office is away.
    then: usize,
}

const CASES: [Case; 3] = [
    Case { name: "30 kB/s", settings: NarrowSettings::rate(30_000), first: 20_000, then: 2_000 },
    Case { name: "1 kB/s", settings: NarrowSettings::rate(1_000), first: 500, then: 300 },
    Case { name: "cut every 20 kB", settings: NarrowSettings::cut_every(20_000), first: 20_000, then: 2_000 },
];

/// Runs all cases.
pub(super) async fn links(programs: &Programs, directory: &Path) -> Result<Outcome, SoakError> {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (number, case) in CASES.iter().enumerate() {
        match case.run(programs, &directory.join(format!("link-{number}")), &mut rows).await {
            Ok(more) => faults.extend(more),
            Err(error) => faults.push(format!("{}: {error}", case.name)),
        }
    }
    Ok(Outcome { text: transfer_table(rows), faults })
}

impl Case {
    async fn run(
        &self,
        programs: &Programs,
        directory: &Path,
        rows: &mut Vec<Vec<String>>,
    ) -> Result<Vec<String>, SoakError> {
        let (new, mut yard) = (NewPair::create(programs, directory)?, SimulatedYard::new(1, PAYLOAD_INTERVAL));
        let state_dir = new.barn.state_dir().to_owned();
        block_in_place(|| yard.record(&state_dir, self.first))?;
        let mut pair = new.start(self.settings).await?;
        let (meter, name) = (Meter::start(&pair), format!("{}, first copy", self.name));
        pair.pair("office-1").await?;
        let first = meter.watch(&mut pair, &name, COPY_LIMIT).await?;
        rows.push(first.row(self.name, "first copy", first.head));
        let mut faults: Vec<_> = first.fault(&name, COPY_LIMIT).into_iter().collect();

        for place in [Place::Office, Place::Barn] {
            faults.extend(pair.end(place, End::Stop).await?);
        }
        block_in_place(|| yard.record(&state_dir, self.then))?;
        pair.start(Place::Barn).await?;
        let (meter, name) = (Meter::start(&pair), format!("{}, catch-up", self.name));
        pair.start(Place::Office).await?;
        let then = meter.watch(&mut pair, &name, COPY_LIMIT).await?;
        rows.push(then.row(self.name, "catch-up", then.head.saturating_sub(first.head)));
        faults.extend(then.fault(&name, COPY_LIMIT));

        faults.extend(pair.judge(COPY_LIMIT).await);
        Ok(faults)
    }
}
