//! The layers of a function: which it may use, and how large all of it may be.

use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::layer::{self, LayerName};
use crate::state::{FunctionRecord, LayerRecord};

const LAYERS_MAX: usize = 5;
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const UNZIPPED_BYTES_MAX: u64 = 262_144_000;

/// The layer versions that a request names, in order; `None`: it says nothing of layers. That the caller may read
/// those of other accounts has been judged.
pub async fn load(ctx: &Ctx, arns: Option<&[String]>) -> Result<Option<Vec<LayerRecord>>> {
    let Some(arns) = arns else { return Ok(None) };
    check_choice(arns)?;
    let mut layers = Vec::with_capacity(arns.len());
    for arn in arns {
        let missing = || errors::layer_not_found(arn);
        let (layer, version) = arn.rsplit_once(':').ok_or_else(missing)?;
        let layer = LayerName::parse(ctx, layer)?;
        let version = version.parse().map_err(|_| missing())?;
        let found = layer::find(&layer.ctx, &layer.name, version).await?.ok_or_else(missing)?;
        layers.push(LayerRecord { arn: arn.clone(), code: found.code });
    }
    Ok(Some(layers))
}

/// At most five, and each layer once.
fn check_choice(arns: &[String]) -> Result<()> {
    if arns.len() > LAYERS_MAX {
        return Err(errors::too_many_layers(LAYERS_MAX));
    }
    let layer = |arn: &str| arn.rsplit_once(':').map(|(layer, _)| layer.to_owned());
    for (index, arn) in arns.iter().enumerate() {
        let same = arns[index + 1..].iter().find(|other| layer(other) == layer(arn));
        if let Some(other) = same {
            return Err(errors::same_layer_twice(arn, other));
        }
    }
    Ok(())
}

/// Code and layers together must fit.
pub fn check_size(record: &FunctionRecord) -> Result<()> {
    let layers: u64 = record.layers.iter().map(|layer| layer.code.unzipped_bytes).sum();
    if layers > UNZIPPED_BYTES_MAX {
        return Err(errors::layers_too_large(UNZIPPED_BYTES_MAX));
    }
    let all = layers + record.code.unzipped_bytes;
    if all > UNZIPPED_BYTES_MAX {
        return Err(errors::code_and_layers_too_large(UNZIPPED_BYTES_MAX, all));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_different_layers_at_most() {
        let arn = |name: &str, version: u32| {
            format!("arn:aws:lambda:us-east-1:123456789012:layer:{name}:{version}")
        };
        let five: Vec<String> = (1..6).map(|n| arn(&format!("l{n}"), n)).collect();
        assert!(check_choice(&five).is_ok());
        let six: Vec<String> = (1..7).map(|n| arn(&format!("l{n}"), n)).collect();
        assert_eq!(
            check_choice(&six).unwrap_err().message(),
            "Cannot reference more than 5 layers."
        );
        let error = check_choice(&[arn("a", 1), arn("b", 1), arn("a", 2)]).unwrap_err();
        assert!(error.message().contains("layer:a:1 and "), "{}", error.message());
    }

    #[test]
    fn code_and_layers_share_one_limit() {
        let mut record = FunctionRecord::default();
        record.code.unzipped_bytes = 200_000_000;
        assert!(check_size(&record).is_ok());
        let mut layer = LayerRecord::default();
        layer.code.unzipped_bytes = 62_144_000;
        record.layers.push(layer.clone());
        assert!(check_size(&record).is_ok());
        record.layers.push(LayerRecord { arn: "b".to_owned(), ..layer });
        assert!(check_size(&record).unwrap_err().message().ends_with("324288000 bytes."));
    }
}
