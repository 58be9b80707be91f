//! Names for things that the template does not name: `{stack}-{logical id}-{random}`.

use sereno_kernel::Ctx;

const RANDOM: usize = 12;
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The longest name that a type takes.
fn length_max(type_name: &str) -> usize {
    match type_name {
        "AWS::IAM::Role" | "AWS::IAM::User" | "AWS::Lambda::Function" => 64,
        "AWS::S3::Bucket" => 63,
        "AWS::SQS::Queue" | "AWS::StepFunctions::StateMachine" => 80,
        "AWS::Events::Rule" | "AWS::Scheduler::Schedule" => 64,
        "AWS::DynamoDB::Table" | "AWS::SNS::Topic" => 255,
        _ => 128,
    }
}

/// A new name; S3's are lower case.
pub fn suggest(ctx: &Ctx, type_name: &str, stack_name: &str, logical_id: &str) -> String {
    let lower = matches!(type_name, "AWS::S3::Bucket" | "AWS::ECR::Repository");
    let random = ctx.random_id(if lower { LOWER } else { MIXED }, RANDOM);
    let (stack, logical) = fit(stack_name, logical_id, length_max(type_name) - RANDOM - 2);
    let name = format!("{stack}-{logical}-{random}");
    if lower { name.to_lowercase() } else { name }
}

/// Both names shortened to `room` together; the shorter one keeps its length if it is under half.
fn fit<'a>(stack: &'a str, logical: &'a str, room: usize) -> (&'a str, &'a str) {
    if stack.len() + logical.len() <= room {
        return (stack, logical);
    }
    let half = room / 2;
    let logical_room = if stack.len() < half { room - stack.len() } else { half };
    let logical = &logical[..logical.len().min(logical_room)];
    // A name that ends in a hyphen would make two in a row.
    let stack = stack[..stack.len().min(room - logical.len())].trim_end_matches('-');
    (stack, logical)
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn both_names_share_the_room() {
        assert_eq!(fit("shop", "Table", 50), ("shop", "Table"));
        let long = "a".repeat(60);
        assert_eq!(fit("shop", &long, 50).1.len(), 46);
        assert_eq!(fit(&long, "Role", 50).0.len(), 46);
        let (stack, logical) = fit(&long, &long, 50);
        assert_eq!((stack.len(), logical.len()), (25, 25));
    }
}
