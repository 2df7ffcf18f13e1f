//! Encoding of a scrape, family by family.

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;

/// The name, unit and help text of a family of metrics.
///
/// The name has neither the prefix `herdlinx_` nor the suffixes that OpenMetrics adds: the unit and `_total`.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
}

impl Family {
    /// Creates a family without a unit.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, unit: None, help }
    }

    /// Sets the unit of the values, which is appended to the name.
    #[must_use]
    pub const fn in_unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

/// The labels of a value without labels.
pub const NO_LABELS: [(&str, &str); 0] = [];

/// An encoder of families. A family without values appears with its name only.
#[derive(Debug)]
pub struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    /// Wraps the encoder of a scrape.
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// Encodes values that go up and down, each with its labels.
    pub fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(family, MetricType::Gauge, |mut encoder| {
            values.into_iter().try_for_each(|(labels, value)| encoder.encode_family(&labels)?.encode_gauge(&value))
        })
    }

    /// Encodes one value without labels that goes up and down.
    pub fn gauge<V: EncodeGaugeValue>(&mut self, family: Family, value: V) -> fmt::Result {
        self.gauges(family, [(NO_LABELS, value)])
    }

    /// Encodes counts that only go up, each with its labels.
    pub fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        family: Family,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        self.family(family, MetricType::Counter, |mut encoder| {
            values.into_iter().try_for_each(|(labels, value)| {
                encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
            })
        })
    }

    /// Encodes one count without labels that only goes up.
    pub fn counter(&mut self, family: Family, value: u64) -> fmt::Result {
        self.counters(family, [(NO_LABELS, value)])
    }

    /// Encodes facts that are stated by labels alone.
    pub fn info(&mut self, family: Family, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.family(family, MetricType::Info, |mut encoder| encoder.encode_info(labels))
    }

    /// Encodes a metric that collects its own values, such as a histogram.
    pub fn metric(&mut self, family: Family, metric: &impl EncodeMetric) -> fmt::Result {
        self.family(family, metric.metric_type(), |encoder| metric.encode(encoder))
    }

    fn family(
        &mut self,
        Family { name, unit, help }: Family,
        kind: MetricType,
        encode: impl FnOnce(MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let unit = unit.map(|unit| Unit::Other(unit.to_owned()));
        encode(self.0.encode_descriptor(name, help, unit.as_ref(), kind)?)
    }
}
