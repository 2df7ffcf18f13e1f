//! The `user` command and its requests on the control socket.

use super::{LINK_LIFETIME, ListedUser, People, PeopleError, Role, UserName};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::control::{CommandError, ControlError, DirectError};
use service::door::secret::Secret;
use service::lifecycle::Exit;
use std::io::{self, Write};

/// Path of the page where a user chooses a password.
pub const WELCOME_PATH: &str = "/welcome";

/// Manages the people who may open the office's pages.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UserCommand {
    /// Add a user, and print the link by which they choose their password; it works once
    Add {
        /// Name, as it is shown and recorded with corrections
        name: UserName,
        /// Permission of the user: to look, also to correct, or also to manage users, sites and keys
        #[arg(long, value_enum)]
        role: Role,
    },
    /// Remove a user, who is logged out at once
    Remove {
        /// Name of the user
        name: UserName,
    },
    /// Print a link by which a user chooses a new password; the old one is valid until then
    Passwd {
        /// Name of the user
        name: UserName,
    },
    /// List the users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A request about users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UserRequest {
    /// Add a user.
    Add {
        /// The name.
        name: UserName,
        /// The role.
        role: Role,
    },
    /// Remove a user.
    Remove {
        /// The name.
        name: UserName,
    },
    /// Make a link for a new password.
    Passwd {
        /// The name.
        name: UserName,
    },
    /// List the users.
    List,
}

/// The response to a [`UserRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserResponse {
    /// A link was made.
    Link {
        /// Its code, which is stored nowhere.
        code: String,
    },
    /// The user was removed.
    Removed,
    /// All users.
    Users(Vec<ListedUser>),
}

impl UserCommand {
    /// Runs the command: `ask` gets the response. `office` is the address under which the pages are opened. Prints to `out`;
    /// a link is the last line, alone. Blocks.
    pub fn run(
        &self,
        ask: impl FnOnce(&UserRequest) -> Result<UserResponse, CommandError>,
        office: &str,
        out: &mut dyn Write,
    ) -> Result<(), UserCommandError> {
        match (self, ask(&self.request())?) {
            (Self::Add { name, .. } | Self::Passwd { name }, UserResponse::Link { code }) => {
                let days = LINK_LIFETIME.as_secs() / (24 * 3600);
                writeln!(out, "Give `{name}` this link, which works once, for {days} days, to choose a password:")?;
                writeln!(out, "{}", link(office, &code))?;
            }
            (Self::Remove { name }, UserResponse::Removed) => {
                writeln!(out, "User `{name}` is removed and logged out.")?;
            }
            (Self::List { json: true }, UserResponse::Users(users)) => writeln!(out, "{}", json!(users))?,
            (Self::List { json: false }, UserResponse::Users(users)) => print_table(&users, out)?,
            _ => return Err(CommandError::UnexpectedResponse.into()),
        }
        Ok(out.flush()?)
    }

    fn request(&self) -> UserRequest {
        match self.clone() {
            Self::Add { name, role } => UserRequest::Add { name, role },
            Self::Remove { name } => UserRequest::Remove { name },
            Self::Passwd { name } => UserRequest::Passwd { name },
            Self::List { .. } => UserRequest::List,
        }
    }
}

/// Returns the link with a code.
pub fn link(office: &str, code: &str) -> String {
    format!("https://{office}{WELCOME_PATH}?code={code}")
}

fn print_table(users: &[ListedUser], out: &mut dyn Write) -> io::Result<()> {
    if users.is_empty() {
        return writeln!(out, "There are no users. `user add NAME --role owner` adds one.");
    }
    let width = users.iter().map(|user| user.name.as_str().chars().count()).max().unwrap_or_default();
    for ListedUser { name, role, is_invited } in users {
        let note = if *is_invited { "  has not chosen a password yet" } else { "" };
        writeln!(out, "{:width$}  {role}{note}", name.as_str())?;
    }
    Ok(())
}

/// Reason why a command about users failed.
#[derive(Debug, thiserror::Error)]
pub enum UserCommandError {
    /// Neither the process nor the files gave a response.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The result could not be printed. A link is lost then.
    #[error("cannot print the result: {0}; `user passwd NAME` prints a link again")]
    Print(#[from] io::Error),
}

impl From<&UserCommandError> for Exit {
    fn from(error: &UserCommandError) -> Self {
        match error {
            UserCommandError::Command(error) => Self::from(error),
            UserCommandError::Print(_) => Self::Failure,
        }
    }
}

/// Responds to a request about users. Syncs the disk: call it on a blocking thread from asynchronous code.
pub fn respond(people: &People, request: &UserRequest) -> Result<UserResponse, PeopleError> {
    let made = |code: Secret| UserResponse::Link { code: code.reveal().to_owned() };
    match request {
        UserRequest::Add { name, role } => people.add(name, *role).map(made),
        UserRequest::Passwd { name } => people.renew(name).map(made),
        UserRequest::Remove { name } => people.remove(name).map(|()| UserResponse::Removed),
        UserRequest::List => Ok(UserResponse::Users(people.list())),
    }
}

impl From<PeopleError> for ControlError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Exists(_)
            | PeopleError::Invited(_)
            | PeopleError::Unknown(_)
            | PeopleError::TooMany
            | PeopleError::LastOwner(_) => Self::new("refused", error.to_string()),
            PeopleError::Local(_) | PeopleError::Randomness(_) | PeopleError::Hash(_) => Self::failed(error),
        }
    }
}

impl From<PeopleError> for DirectError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::Local(local) => local.into(),
            refused => ControlError::from(refused).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, role: Role, is_invited: bool) -> ListedUser {
        ListedUser { name: name.parse().unwrap(), role, is_invited }
    }

    /// Returns what a command asks for, and prints after this response.
    fn run(command: &UserCommand, response: UserResponse) -> (UserRequest, Result<String, UserCommandError>) {
        let (mut asked, mut out) = (None, Vec::new());
        let ask = |request: &UserRequest| {
            asked = Some(request.clone());
            Ok(response)
        };
        let done = command.run(ask, "office.local:5000", &mut out);
        (asked.unwrap(), done.map(|()| String::from_utf8(out).unwrap()))
    }

    /// Catches a command that does another thing than it says, and a link that cannot be opened or is not alone on its line.
    #[test]
    fn each_command_asks_for_its_change_and_says_what_was_done() {
        let ana: UserName = "Ana".parse().unwrap();
        let link = UserResponse::Link { code: "hxw_1".to_owned() };
        let text = "Give `Ana` this link, which works once, for 7 days, to choose a password:\n\
                    https://office.local:5000/welcome?code=hxw_1\n";
        for (command, request, response, text) in [
            (
                UserCommand::Add { name: ana.clone(), role: Role::Owner },
                UserRequest::Add { name: ana.clone(), role: Role::Owner },
                link.clone(),
                text,
            ),
            (UserCommand::Passwd { name: ana.clone() }, UserRequest::Passwd { name: ana.clone() }, link.clone(), text),
            (
                UserCommand::Remove { name: ana.clone() },
                UserRequest::Remove { name: ana.clone() },
                UserResponse::Removed,
                "User `Ana` is removed and logged out.\n",
            ),
        ] {
            let (asked, printed) = run(&command, response);
            assert_eq!((asked, printed.unwrap().as_str()), (request, text));
        }
        let (_, wrong) = run(&UserCommand::Remove { name: ana }, link);
        assert!(matches!(wrong, Err(UserCommandError::Command(CommandError::UnexpectedResponse))));
    }

    #[test]
    fn users_are_printed_as_a_table_or_as_json() {
        let users = vec![user("Ana Pérez", Role::Operator, false), user("Ben", Role::Owner, true)];
        let (asked, table) = run(&UserCommand::List { json: false }, UserResponse::Users(users.clone()));
        assert_eq!(asked, UserRequest::List);
        assert_eq!(table.unwrap(), "Ana Pérez  operator\nBen        owner  has not chosen a password yet\n");
        let (_, text) = run(&UserCommand::List { json: true }, UserResponse::Users(users));
        let expected = json!([
            {"name": "Ana Pérez", "role": "operator", "is_invited": false},
            {"name": "Ben", "role": "owner", "is_invited": true},
        ]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text.unwrap()).unwrap(), expected);
        let (_, empty) = run(&UserCommand::List { json: false }, UserResponse::Users(Vec::new()));
        assert!(empty.unwrap().contains("`user add NAME --role owner` adds one"));
    }

    /// Catches a refusal that a script takes for a failure of the office, and a failure that it takes for a refusal.
    #[test]
    fn refusals_and_failures_have_codes_of_their_own() {
        let ana: UserName = "Ana".parse().unwrap();
        let failed = PeopleError::Hash(super::super::HashError::Busy);
        for (error, code) in [
            (PeopleError::Exists(ana.clone()), "refused"),
            (PeopleError::Invited(ana.clone()), "refused"),
            (PeopleError::Unknown(ana.clone()), "refused"),
            (PeopleError::LastOwner(ana), "refused"),
            (PeopleError::TooMany, "refused"),
            (failed, "failed"),
        ] {
            assert_eq!(ControlError::from(error).code, code);
        }
    }
}
