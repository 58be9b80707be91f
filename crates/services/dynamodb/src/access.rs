//! What an operation needs: actions, ARNs and DynamoDB's condition keys.
//! https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
//!
//! The partition keys of a request are only known with the table's schema, so data operations judge
//! their access themselves, as their first step: see [`crate::table::Engine::open`].

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Condition, Item};
use sereno_kernel::{Access, Ctx};

use crate::convert::{self, Attributes};
use crate::expressions::Guard;
use crate::table::Table;
use crate::update_item::Edit;

/// The ARN of a table named by name or ARN.
pub fn arn(ctx: &Ctx, table_name: &str) -> String {
    if table_name.starts_with("arn:") {
        return table_name.to_owned();
    }
    ctx.arn("dynamodb", &format!("table/{table_name}"))
}

pub fn table(action: &'static str, ctx: &Ctx, table_name: &str) -> Access {
    Access::new(action, arn(ctx, table_name))
}

pub fn anything(action: &'static str) -> Access {
    Access::new(action, "*")
}

/// A global table belongs to no region.
pub fn global(action: &'static str, ctx: &Ctx, name: &str) -> Access {
    let resource = format!("global-table/{name}");
    Access::new(action, sereno_base::arn("dynamodb", None, Some(ctx.account()), &resource))
}

/// What is read and what is made.
pub fn restore_backup(ctx: &Ctx, input: &api::RestoreTableFromBackupInput) -> Access {
    const ACTION: &str = "dynamodb:RestoreTableFromBackup";
    Access::new(ACTION, &*input.backup_arn).and(ACTION, arn(ctx, &input.target_table_name))
}

pub fn restore_moment(ctx: &Ctx, input: &api::RestoreTableToPointInTimeInput) -> Access {
    const ACTION: &str = "dynamodb:RestoreTableToPointInTime";
    let source = input.source_table_arn.as_ref().or(input.source_table_name.as_ref());
    let source = source.map_or_else(|| "*".to_owned(), |source| arn(ctx, source));
    Access::new(ACTION, source).and(ACTION, arn(ctx, &input.target_table_name))
}

/// What is no ARN of DynamoDB's the operation refuses itself, in words of its own.
pub fn tagged(action: &'static str, arn: &str) -> Access {
    match sereno_base::Arn::parse(arn) {
        Some(parsed) if parsed.service == "dynamodb" => Access::new(action, arn),
        _ => Access::authenticated(),
    }
}

/// Which import it becomes is not known yet.
pub fn import(ctx: &Ctx, input: &api::ImportTableInput) -> Access {
    let table = arn(ctx, &input.table_creation_parameters.table_name);
    Access::new("dynamodb:ImportTable", format!("{table}/import/*"))
}

/// Collects what a data operation touches.
#[derive(Default)]
pub struct Touched {
    pub leading_keys: Vec<String>,
    pub attributes: Vec<String>,
    pub select: Option<String>,
    pub return_values: Option<String>,
    pub return_consumed_capacity: Option<String>,
    pub enclosing: Option<&'static str>,
    pub full_scan: Option<bool>,
}

impl Touched {
    pub fn key(&mut self, table: Option<&Table>, attributes: &Attributes) {
        self.attributes(attributes.keys());
        let Some(table) = table else { return };
        let leading = table.keys.hash.iter().filter_map(|key| attributes.get(&key.name));
        self.leading_keys.extend(leading.filter_map(convert::policy_text));
    }

    /// A key, or a whole item.
    pub fn item(&mut self, table: Option<&Table>, item: &Item) {
        for (name, _) in item.iter() {
            self.attribute(name);
        }
        let Some(table) = table else { return };
        let leading = table.keys.hash.iter().filter_map(|key| item.get(&key.name));
        self.leading_keys.extend(leading.filter_map(convert::value_text));
    }

    /// What a condition looks at is touched too: its answer tells of it.
    pub fn guard(&mut self, guard: &Guard) {
        match guard {
            Guard::Nothing => {}
            Guard::Expression(condition) => self.condition(condition),
            Guard::Clauses { clauses, .. } => {
                clauses.iter().for_each(|clause| self.attribute(&clause.attribute));
            }
        }
    }

    pub fn condition(&mut self, condition: &Condition) {
        condition.paths().into_iter().for_each(|path| self.attribute(&path.head));
    }

    pub fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Nothing => {}
            Edit::Expression(update) => {
                update.paths().into_iter().for_each(|path| self.attribute(&path.head));
            }
            Edit::Attributes(updates) => {
                updates.iter().for_each(|(name, _)| self.attribute(name));
            }
        }
    }

    fn attribute(&mut self, name: &str) {
        if !self.attributes.iter().any(|have| have == name) {
            self.attributes.push(name.to_owned());
        }
    }

    pub fn attributes<'a>(&mut self, names: impl IntoIterator<Item = &'a String>) {
        names.into_iter().for_each(|name| self.attribute(name));
    }

    pub fn consumed(mut self, asked: Option<&api::ReturnConsumedCapacity>) -> Touched {
        self.return_consumed_capacity = asked.map(|asked| asked.as_str().to_owned());
        self
    }

    pub fn access(self, action: &'static str, arn: String) -> Access {
        self.and(Access::authenticated(), action, arn, true)
    }

    /// Adds this need to `access`; `first` starts a new one.
    pub fn and(self, access: Access, action: &'static str, arn: String, first: bool) -> Access {
        let mut access = if first { Access::new(action, arn) } else { access.and(action, arn) };
        let mut set = |key: &str, values: Vec<String>| {
            if !values.is_empty() {
                access = std::mem::replace(&mut access, Access::public())
                    .condition(format!("dynamodb:{key}"), values);
            }
        };
        set("LeadingKeys", self.leading_keys);
        set("Attributes", self.attributes);
        set("Select", self.select.into_iter().collect());
        set("ReturnValues", self.return_values.into_iter().collect());
        set("ReturnConsumedCapacity", self.return_consumed_capacity.into_iter().collect());
        set("EnclosingOperation", self.enclosing.map(str::to_owned).into_iter().collect());
        set("FullTableScan", self.full_scan.map(|full| full.to_string()).into_iter().collect());
        access
    }
}
