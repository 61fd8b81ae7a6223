//! The command line: contract section 1.
#![expect(clippy::print_stdout, reason = "a command line answers on standard output")]

mod catalogue;

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};
use switchboard::{
    app::{App, StartError, open_store, system_clock},
    config::{
        Config, operator,
        settings::{SETTINGS, Source, parse_duration},
    },
    domain::{
        error::Error,
        ids::UserId,
        user::{Role, User},
    },
    server::{self, Port},
    service::accounts,
    tasks::Tasks,
    telemetry,
    tokens::{Tokens, clean_name},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Exit status for bad usage or configuration.
const USAGE: u8 = 64;

/// How a command ends when it does not end well.
enum Failure {
    /// Bad usage or configuration.
    Usage(String),
    /// Anything else.
    Other(String),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Setting(line) => Self::Usage(line),
            StartError::Database(line) => Self::Other(line),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Internal(cause) => Self::Other(cause.to_string()),
            Error::Invalid(_) | Error::TooLarge(_) => Self::Usage(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // Several libraries use rustls; they must all find the same provider.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("switchboard: a TLS provider was installed already");
    }
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("switchboard: .env: {error}");
        return ExitCode::from(USAGE);
    }
    let matches = match cli().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print!("{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!("switchboard: {}", line.trim_start_matches("error: "));
            return ExitCode::from(USAGE);
        }
    };
    match run(&matches).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(line)) => {
            eprintln!("switchboard: {line}");
            ExitCode::from(USAGE)
        }
        Err(Failure::Other(line)) => {
            eprintln!("switchboard: {line}");
            ExitCode::FAILURE
        }
    }
}

/// The whole command line. Every setting is also a flag, at any place.
fn cli() -> Command {
    let settings = SETTINGS.iter().map(|setting| {
        let default = if setting.default.is_empty() { String::new() } else { format!(" [{}]", setting.default) };
        Arg::new(setting.name)
            .long(setting.name.to_ascii_lowercase().replace('_', "-"))
            .value_name(setting.name)
            .help(format!("{}{default}", setting.help))
            .global(true)
    });
    let required = |name: &'static str| Arg::new(name).long(name).required(true);
    let role = || required("role").value_parser(["admin", "customer"]);
    let who = || Arg::new("user").value_name("ID_OR_EMAIL").required(true);
    let demo = Arg::new("demo")
        .long("demo")
        .action(ArgAction::SetTrue)
        .global(true)
        .help("Create a demo agent account, listings and articles when the database is empty, and create conversations on first use");
    let user = Command::new("user")
        .about("Manage accounts")
        .subcommand_required(true)
        .subcommand(
            Command::new("create").about("Create an account; without --password one is made and printed").args([
                required("email"),
                required("name"),
                role(),
                Arg::new("password").long("password"),
            ]),
        )
        .subcommand(Command::new("list").about("List accounts"))
        .subcommand(
            Command::new("role")
                .about("Change a role")
                .args([who(), Arg::new("role").required(true).value_parser(["admin", "customer"])]),
        )
        .subcommand(Command::new("delete").about("Delete an account; its connections end").arg(who()));
    let no_worker = Arg::new("no-worker")
        .long("no-worker")
        .action(ArgAction::SetTrue)
        .help("Leave the answers to `switchboard worker`; needs REDIS_URL and a shared DATABASE_URL");
    let ttl = Arg::new("ttl").long("ttl").default_value("1h");
    Command::new("switchboard")
        .version(env!("CARGO_PKG_VERSION"))
        .about("One chat server for existing Socket.IO and WebSocket clients. Without a command it serves.")
        .args(settings)
        .arg(demo)
        .subcommand(Command::new("serve").about("Serve everything on one port").arg(no_worker))
        .subcommand(Command::new("worker").about("Answer conversations and searches for processes that serve"))
        .subcommand(Command::new("migrate").about("Bring the database up to date and exit"))
        .subcommand(user)
        .subcommand(catalogue::listings_command())
        .subcommand(catalogue::articles_command())
        .subcommand(Command::new("token").about("Print a JWT signed with the configured secret").args([
            required("sub"),
            required("name"),
            role(),
            ttl,
        ]))
}

async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let (name, inner) = matches.subcommand().unwrap_or(("serve", matches));
    // Flags behind a nested subcommand are found in the innermost matches.
    let (nested, innermost) = inner.subcommand().unwrap_or(("", inner));
    let flag = |name: &str| innermost.get_one::<String>(name).cloned();
    let flags = SETTINGS.iter().filter_map(|setting| Some((setting.name.to_owned(), flag(setting.name)?)));
    let mut config = Config::load(&Source::new(flags.collect()), innermost.get_flag("demo")).map_err(Failure::Usage)?;
    telemetry::start(config.log_json);
    match (name, nested) {
        ("serve", _) => {
            config.with_worker = !matches!(innermost.try_get_one("no-worker"), Ok(Some(true)));
            serve(config).await
        }
        ("worker", _) => work(config).await,
        ("migrate", _) => {
            open_store(&config, &Tasks::default()).await?;
            println!("The database is up to date.");
            Ok(())
        }
        ("token", _) => token(&config, innermost),
        ("user", command) => manage_users(config, command, innermost).await,
        ("listings", _) => catalogue::import_listings(&config, innermost).await,
        ("articles", command) => catalogue::manage_articles(&config, command, innermost).await,
        _ => Err(Failure::Usage(format!("unknown command '{name}'"))),
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    if !config.with_worker {
        config.check_shared().map_err(Failure::Usage)?;
    }
    let mut ports = vec![bind(&config, "PORT", Some(config.port), None).await?];
    ports.push(bind(&config, "GURUKUL_PORT", config.gurukul_port, Some("gurukul")).await?);
    ports.push(bind(&config, "CAMPUSHUB_PORT", config.campushub_port, Some("campushub")).await?);
    let ports: Vec<Port> = ports.into_iter().flatten().collect();
    let app = App::start(config, system_clock()).await?;
    if app.config.demo {
        prepare_demo(&app).await?;
    }
    for Port { listener, only } in &ports {
        let address = listener.local_addr().map_err(|error| Failure::Other(error.to_string()))?;
        let what = only.map_or(String::new(), |only| format!(" ({only} on {})", app.config.ws_path));
        println!("Switchboard is listening on http://{address}{what}");
    }
    if !app.config.with_worker {
        println!("It serves only: run `switchboard worker` for answers.");
    } else if app.assistant.provider() == "offline" {
        println!("No AI is configured: set OPENAI_API_KEY or OPENAI_BASE_URL to have questions answered.");
    }
    let stop = stop_signals().map_err(|error| Failure::Other(error.to_string()))?;
    if server::serve(app, ports, stop).await { Ok(()) } else { Err(late()) }
}

/// Runs the worker role alone.
async fn work(config: Config) -> Result<(), Failure> {
    config.check_shared().map_err(Failure::Usage)?;
    let app = App::start(config, system_clock()).await?;
    app.assistant.check().await.map_err(Failure::Other)?;
    println!("Switchboard worker is ready, answering with {}", app.assistant.provider());
    let stop = stop_signals().map_err(|error| Failure::Other(error.to_string()))?;
    if server::work(app, stop).await { Ok(()) } else { Err(late()) }
}

fn late() -> Failure {
    Failure::Other("could not end within SHUTDOWN_TIMEOUT".into())
}

/// Listens on a port, when one is set.
async fn bind(
    config: &Config,
    name: &str,
    port: Option<u16>,
    only: Option<&'static str>,
) -> Result<Option<Port>, Failure> {
    let Some(port) = port else { return Ok(None) };
    let address = SocketAddr::new(config.host, port);
    let listener = TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::Usage(format!("{name}: {address} is in use")),
        _ => Failure::Usage(format!("HOST, {name}: cannot listen on {address}: {error}")),
    })?;
    Ok(Some(Port { listener, only }))
}

/// Resolves with the first SIGTERM or SIGINT; the second one ends the process at once.
fn stop_signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, stop) = tokio::sync::oneshot::channel();
    let mut first = Some(first);
    let watch = async move {
        loop {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            match first.take() {
                Some(first) => first.send(()).unwrap_or_default(),
                None => std::process::exit(1),
            }
        }
    };
    // It must outlive everything that shutdown waits for.
    #[expect(clippy::disallowed_methods, reason = "ends with the process, not with shutdown")]
    tokio::spawn(watch);
    Ok(async move { stop.await.unwrap_or_default() })
}

/// Makes an agent's account, listings and articles in an empty database, so that there is something to try.
async fn prepare_demo(app: &Arc<App>) -> Result<(), Failure> {
    const EMAIL: &str = "agent@demo.example";
    catalogue::fill_with_samples(&app.store, app.now()).await?;
    if !app.store.users().await?.is_empty() {
        return Ok(());
    }
    let (_, password) = accounts::create_user(app, EMAIL, "Demo Agent", Role::Agent, None).await?;
    println!("Demo agent: {EMAIL}, password {}", password.unwrap_or_default());
    Ok(())
}

fn token(config: &Config, matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let ttl: Duration =
        parse_duration(text("ttl")).ok_or_else(|| Failure::Usage("--ttl: expected 30s, 5m or 1h".into()))?;
    let user = User {
        id: UserId::parse(text("sub")).map_err(|error| Failure::Usage(error.to_string()))?,
        name: clean_name(text("name")),
        email: None,
        role: Role::from_word(text("role")),
    };
    let tokens = Tokens::load(config).map_err(Failure::Usage)?;
    println!("{}", tokens.sign(&user, system_clock()(), ttl)?);
    Ok(())
}

async fn manage_users(config: Config, command: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    // Whoever is concerned finds the change in the database; no other process has to be told.
    let config = Config { redis_url: None, ..config };
    let app = App::start(config, system_clock()).await?;
    let now = app.now();
    let actor = operator();
    match command {
        "create" => {
            let password = matches.get_one::<String>("password").cloned();
            let role = Role::from_word(text("role"));
            let (user, made) = accounts::create_user(&app, text("email"), text("name"), role, password).await?;
            println!("{}\t{}", user.id, user.email.unwrap_or_default());
            if let Some(password) = made {
                println!("password\t{password}");
            }
        }
        "list" => {
            for user in app.store.users().await? {
                println!("{}\t{}\t{}\t{}", user.id, user.role.as_str(), user.email.unwrap_or_default(), user.name);
            }
        }
        "role" => {
            let user = app.store.set_role(text("user"), Role::from_word(text("role"))).await?;
            app.store.audit(actor.as_str(), "set_role", user.id.as_str(), user.role.as_str(), now).await?;
            println!("{}\t{}", user.id, user.role.as_str());
        }
        _ => {
            let user = app.store.delete_user(text("user"), now).await?;
            app.store.audit(actor.as_str(), "delete_user", user.id.as_str(), "", now).await?;
            println!("{}\tdeleted", user.id);
        }
    }
    app.store.close().await?;
    Ok(())
}
