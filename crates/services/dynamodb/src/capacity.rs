//! Capacity units as DynamoDB counts them, and how it reports them.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

use std::collections::BTreeMap;

use sereno_api_dynamodb as api;
use sereno_kernel::Ctx;

/// How much a read or a write counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Half.
    Eventual,
    Consistent,
    /// Twice.
    Transactional,
}

impl Mode {
    pub fn of_read(consistent: Option<bool>) -> Mode {
        if consistent == Some(true) { Mode::Consistent } else { Mode::Eventual }
    }

    fn halves(self) -> u64 {
        match self {
            Mode::Eventual => 1,
            Mode::Consistent => 2,
            Mode::Transactional => 4,
        }
    }
}

/// Reads count in halves of a unit, 4 KB each.
pub fn read_halves(bytes: usize, mode: Mode) -> u64 {
    (bytes as u64).div_ceil(4096).max(1) * mode.halves()
}

pub fn write_units(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(1024).max(1)
}

/// What one operation used of one table, in units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub table: f64,
    pub local: BTreeMap<String, f64>,
    pub global: BTreeMap<String, f64>,
}

impl Usage {
    pub fn of_table(units: f64) -> Usage {
        Usage { table: units, ..Usage::default() }
    }

    pub fn total(&self) -> f64 {
        self.table + self.local.values().sum::<f64>() + self.global.values().sum::<f64>()
    }

    pub fn add(&mut self, other: &Usage) {
        self.table += other.table;
        for (name, units) in &other.local {
            *self.local.entry(name.clone()).or_default() += units;
        }
        for (name, units) in &other.global {
            *self.global.entry(name.clone()).or_default() += units;
        }
    }

    pub fn scaled(mut self, factor: f64) -> Usage {
        self.table *= factor;
        self.local.values_mut().chain(self.global.values_mut()).for_each(|units| *units *= factor);
        self
    }
}

/// Which of read and write units a report names besides the sum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    None,
    Read,
    Write,
}

/// `None` if the client did not ask.
pub fn report(
    asked: Option<&api::ReturnConsumedCapacity>,
    table: &str,
    usage: &Usage,
    detail: Detail,
) -> Option<api::ConsumedCapacity> {
    let indexes = match asked {
        Some(api::ReturnConsumedCapacity::Indexes) => true,
        Some(api::ReturnConsumedCapacity::Total) => false,
        _ => return None,
    };
    let units = |units: f64, wanted| (detail == wanted).then_some(units);
    let capacity = |used: f64| api::Capacity {
        capacity_units: Some(used),
        read_capacity_units: units(used, Detail::Read),
        write_capacity_units: units(used, Detail::Write),
    };
    let each = |map: &BTreeMap<String, f64>| {
        (indexes && !map.is_empty())
            .then(|| map.iter().map(|(name, used)| (name.clone(), capacity(*used))).collect())
    };
    Some(api::ConsumedCapacity {
        table_name: Some(table.to_owned()),
        capacity_units: Some(usage.total()),
        read_capacity_units: units(usage.total(), Detail::Read),
        write_capacity_units: units(usage.total(), Detail::Write),
        table: indexes.then(|| capacity(usage.table)),
        local_secondary_indexes: each(&usage.local),
        global_secondary_indexes: each(&usage.global),
        ..Default::default()
    })
}

/// What AWS would bill: halves of read request units, and write request units.
pub fn meter_read(ctx: &Ctx, units: f64) {
    ctx.meter("dynamodb", "ReadHalfUnits", (units * 2.0).ceil() as i64);
}

pub fn meter_write(ctx: &Ctx, units: f64) {
    ctx.meter("dynamodb", "WriteUnits", units.ceil() as i64);
}
