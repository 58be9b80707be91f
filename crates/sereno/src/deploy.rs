//! `sereno deploy`: packages a template, creates or updates its stack, prints what came out.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::Outcome;
use crate::client::{Client, Target, unreachable};
use crate::package;
use crate::stack::{INLINE_TEMPLATE_BYTES_MAX, Made, Stack};

/// Examples:
///   sereno deploy
///   sereno deploy template.yaml --stack-name shop --parameter Stage=prod
///   sereno deploy --delete --stack-name shop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// The SAM or CloudFormation template. Default: template.yaml, .yml or .json in this folder.
    template: Option<PathBuf>,

    /// Default: the name of the template's folder.
    #[arg(long)]
    stack_name: Option<String>,

    /// A parameter of the template, as Name=Value; may be given several times.
    #[arg(long = "parameter")]
    parameters: Vec<String>,

    /// Delete the stack instead.
    #[arg(long)]
    delete: bool,

    #[command(flatten)]
    target: Target,
}

/// A template on this machine and the stack that it makes.
pub struct Project {
    pub template: PathBuf,
    pub stack_name: String,
    pub parameters: Map<String, Value>,
}

impl Project {
    pub fn new(
        template: Option<PathBuf>,
        stack_name: Option<String>,
        parameters: &[String],
    ) -> Result<Project, String> {
        let template = match template {
            Some(template) => template,
            None => find_template()?,
        };
        let template = template
            .canonicalize()
            .map_err(|error| format!("cannot read {}: {error}", template.display()))?;
        let stack_name = stack_name.unwrap_or_else(|| folder_name(&template));
        Ok(Project { template, stack_name, parameters: package::parameters(parameters)? })
    }

    pub fn base(&self) -> &Path {
        self.template.parent().unwrap_or(Path::new("."))
    }

    pub fn load(&self) -> Result<Value, String> {
        let path = self.template.display();
        let text = std::fs::read_to_string(&self.template)
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        sereno_template::text::parse(&text).map_err(|error| format!("{path}: {error}"))
    }

    /// Packages and deploys; answers what there is then, changed or not.
    pub async fn deploy(&self, client: &Client) -> Result<Made, String> {
        let bucket = format!("sereno-deploy-{}", client.region());
        let template = package::package(client, self.load()?, self.base(), &bucket).await?;
        let body = template.to_string();
        let body = if body.len() <= INLINE_TEMPLATE_BYTES_MAX {
            ("TemplateBody", body)
        } else {
            ("TemplateURL", package::put_template(client, &bucket, body).await?)
        };
        let stack = Stack { client, name: &self.stack_name };
        if !stack.deploy(body, &self.parameters).await? {
            println!("  nothing to change");
        }
        stack.made().await
    }
}

fn find_template() -> Result<PathBuf, String> {
    let names = ["template.yaml", "template.yml", "template.json", "sam.yaml"];
    names.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "there is no template here: looked for {}.\nName one: sereno deploy PATH",
            names.join(", ")
        )
    })
}

/// As a stack's name must be: letters, digits and hyphens, a letter first.
fn folder_name(template: &Path) -> String {
    let folder = template.parent().and_then(Path::file_name).unwrap_or_default();
    let name: String = folder
        .to_string_lossy()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        format!("app-{name}")
    }
}

pub async fn deploy(options: Options) -> Outcome {
    let client = options.target.client()?;
    if !client.is_up().await {
        return Err(unreachable(client.endpoint()));
    }
    if options.delete {
        let name = match options.stack_name {
            Some(name) => name,
            None => Project::new(options.template, None, &[])?.stack_name,
        };
        return Stack { client: &client, name: &name }.delete().await;
    }
    let project = Project::new(options.template, options.stack_name, &options.parameters)?;
    println!("Deploying {} as {}", project.template.display(), project.stack_name);
    let made = project.deploy(&client).await?;
    print_made(&client, &made).await;
    Ok(())
}

/// Outputs, and a line to paste for each API.
pub async fn print_made(client: &Client, made: &Made) {
    for (name, value) in &made.outputs {
        println!("  {name} = {value}");
    }
    for url in made.urls(client).await {
        println!("  API at {url}");
    }
}
