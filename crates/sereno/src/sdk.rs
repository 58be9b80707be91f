//! `sereno sdk`: brings the SDKs that AWS's own runtimes carry, so that functions need not.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::Outcome;
use crate::data_dir::DataDir;

/// Below a data folder: `python`, on functions' module path; `nodejs/node_modules`.
const FOLDER: &str = "sdk";

const PYTHON: &[&str] = &["boto3"];

/// Version 2, and of version 3 the clients of what an app is likely to use.
const NODEJS: &[&str] = &[
    "aws-sdk@2",
    "@aws-sdk/client-api-gateway",
    "@aws-sdk/client-apigatewaymanagementapi",
    "@aws-sdk/client-cloudformation",
    "@aws-sdk/client-cloudwatch",
    "@aws-sdk/client-cloudwatch-logs",
    "@aws-sdk/client-cognito-identity",
    "@aws-sdk/client-cognito-identity-provider",
    "@aws-sdk/client-dynamodb",
    "@aws-sdk/client-dynamodb-streams",
    "@aws-sdk/client-eventbridge",
    "@aws-sdk/client-iam",
    "@aws-sdk/client-kinesis",
    "@aws-sdk/client-kms",
    "@aws-sdk/client-lambda",
    "@aws-sdk/client-s3",
    "@aws-sdk/client-secrets-manager",
    "@aws-sdk/client-sesv2",
    "@aws-sdk/client-sfn",
    "@aws-sdk/client-sns",
    "@aws-sdk/client-sqs",
    "@aws-sdk/client-ssm",
    "@aws-sdk/client-sts",
    "@aws-sdk/lib-dynamodb",
    "@aws-sdk/lib-storage",
    "@aws-sdk/s3-request-presigner",
];

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Language {
    Python,
    Nodejs,
}

/// Fetches boto3 with pip and the JavaScript SDKs with npm. Functions find them when the server is next started.
///
/// Examples:
///   sereno sdk
///   sereno sdk python
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Options {
    /// For which languages. Default: for those whose package manager is on this machine.
    languages: Vec<Language>,

    /// The server's data folder. Default: the default one, which every server of this user looks into.
    #[arg(long)]
    data: Option<PathBuf>,
}

/// Where functions' SDKs are for a server with this data folder: its own, or its user's.
pub fn folder(data: &Path) -> Option<PathBuf> {
    [data.to_owned(), DataDir::default_path()]
        .map(|folder| folder.join(FOLDER))
        .into_iter()
        .find(|folder| folder.is_dir())
}

pub fn fetch(options: Options) -> Outcome {
    let all = [Language::Python, Language::Nodejs];
    let wanted = if options.languages.is_empty() { &all[..] } else { &options.languages };
    let data = DataDir::open(options.data.unwrap_or_else(DataDir::default_path))?;
    let sdk = data.path().join(FOLDER);
    fs::create_dir_all(&sdk).map_err(|error| format!("cannot make {}: {error}", sdk.display()))?;
    let mut fetched = 0;
    for language in wanted {
        match language.fetch(&sdk) {
            Ok(()) => fetched += 1,
            Err(missing) if options.languages.is_empty() && missing.tool => {
                println!("{}", missing.message);
            }
            Err(failed) => return Err(failed.message),
        }
    }
    if fetched == 0 {
        return Err("neither pip nor npm is here: install Python or Node.js".to_owned());
    }
    println!("In {}. Functions see it when the server is next started.", sdk.display());
    Ok(())
}

struct Failed {
    message: String,
    /// The package manager itself is not there.
    tool: bool,
}

impl Failed {
    fn new(message: String) -> Failed {
        Failed { message, tool: false }
    }
}

impl Language {
    /// All of it or what was there before.
    fn fetch(self, sdk: &Path) -> Result<(), Failed> {
        let name = match self {
            Language::Python => "python",
            Language::Nodejs => "nodejs",
        };
        println!("Fetching the SDK for {name}");
        let (place, fresh) = (sdk.join(name), sdk.join(format!("{name}.new")));
        remove(&fresh)?;
        self.install(&fresh)?;
        remove(&place)?;
        fs::rename(&fresh, &place)
            .map_err(|error| Failed::new(format!("cannot make {}: {error}", place.display())))
    }

    fn install(self, into: &Path) -> Result<(), Failed> {
        let mut command = match self {
            Language::Python => {
                let mut pip = Command::new("python3");
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
                pip.arg("--target").arg(into).args(PYTHON);
                pip
            }
            Language::Nodejs => {
                let mut npm = Command::new("npm");
                npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
                npm.arg(into).args(NODEJS);
                npm
            }
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let status = command.status().map_err(|error| Failed {
            message: format!("{program} does not start ({error}): its SDK is left out"),
            tool: error.kind() == ErrorKind::NotFound,
        })?;
        if !status.success() {
            return Err(Failed::new(format!("{program} failed ({status}); its words are above")));
        }
        Ok(())
    }
}

fn remove(folder: &Path) -> Result<(), Failed> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failed::new(format!("cannot remove {}: {error}", folder.display())))
        }
        _ => Ok(()),
    }
}
