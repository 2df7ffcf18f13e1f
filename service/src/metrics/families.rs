//! One scrape, family by family.

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;

/// What a family of metrics is called, without `herdlinx_` and what OpenMetrics puts behind it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
}

impl Family {
    /// A family of metrics without a unit.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, unit: None, help }
    }

    /// The unit of its values, which stands at the end of the name.
    #[must_use]
    pub const fn in_unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

/// What a value is told with that has no labels.
pub const NO_LABELS: [(&str, &str); 0] = [];

/// Writes families; a family without values is told by its name alone.
#[derive(Debug)]
pub struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    /// The rest of a scrape.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Values that go up and down, each with its labels.
    pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(family, MetricType::Gauge, |mut to| {
            values.into_iter().try_for_each(|(labels, value)| to.encode_family(&labels)?.encode_gauge(&value))
        })
    }

    /// One value without labels that goes up and down.
    pub fn gauge<V: EncodeGaugeValue>(&mut self, family: Family, value: V) -> fmt::Result {
        self.gauges(family, [(NO_LABELS, value)])
    }

    /// Counts that only go up, each with its labels.
    pub fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(family, MetricType::Counter, |mut to| {
            values.into_iter().try_for_each(|(labels, value)| {
                to.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
            })
        })
    }

    /// One count without labels that only goes up.
    pub fn counter(&mut self, family: Family, value: u64) -> fmt::Result {
        self.counters(family, [(NO_LABELS, value)])
    }

    /// What is said by labels alone.
    pub fn info(&mut self, family: Family, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.family(family, MetricType::Info, |mut to| to.encode_info(labels))
    }

    /// A metric that was kept, such as a histogram.
    pub fn kept(&mut self, family: Family, metric: &impl EncodeMetric) -> fmt::Result {
        self.family(family, metric.metric_type(), |to| metric.encode(to))
    }

    fn family(
        &mut self,
        Family { name, unit, help }: Family,
        of: MetricType,
        values: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let unit = unit.map(|unit| Unit::Other(unit.to_owned()));
        values(self.0.encode_descriptor(name, help, unit.as_ref(), of)?)
    }
}
