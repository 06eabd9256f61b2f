//! Firewall rules that let a set of known addresses in, for each tool.
//!
//! Whatever the tool: the rules stand in a table, chain, policy or group of their own, so that they
//! can be shown, replaced and removed whole; they speak of the server's ports alone, so that ssh is
//! never touched; and writing them twice is as writing them once.

use clap::ValueEnum;

use crate::facts::network::AddressSet;

mod cloud;
mod firewalld;
mod iptables;
mod nft;
mod ufw;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub allow: AddressSet,
    /// Sorted, without doubles, from 1 to [`Wish::MOST_PORTS`] of them.
    ports: Vec<u16>,
    /// How many connections one address may have at a time; `None` for any number.
    pub limit: Option<u32>,
}

impl Wish {
    /// `multiport` of iptables takes no more.
    pub const MOST_PORTS: usize = 15;

    /// `None` for no ports, or too many.
    pub fn new(allow: AddressSet, mut ports: Vec<u16>, limit: Option<u32>) -> Option<Self> {
        ports.sort_unstable();
        ports.dedup();
        let fits = (1..=Self::MOST_PORTS).contains(&ports.len()) && !ports.contains(&0);
        fits.then_some(Self { allow, ports, limit })
    }

    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    fn ports_with(&self, between: &str) -> String {
        self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(between)
    }

    /// One line on top of every script.
    fn head(&self, run: &str) -> String {
        format!(
            "# MySQL port {}: only {}. Written by mytls firewall; {run}\n",
            self.ports_with(", "),
            if self.allow.is_empty() { "this host".to_owned() } else { self.allow.to_string() }
        )
    }
}

/// What carries the rules out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tool {
    Nft,
    Iptables,
    Ufw,
    Firewalld,
    Aws,
    Gcp,
    Azure,
}

impl Tool {
    /// The program that carries the rules out, and the package that brings it.
    pub fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Nft => ("nft", "nftables"),
            Self::Iptables => ("iptables-restore", "iptables"),
            Self::Ufw => ("ufw", "ufw"),
            Self::Firewalld => ("firewall-cmd", "firewalld"),
            Self::Aws => ("aws", "awscli"),
            Self::Gcp => ("gcloud", "google-cloud-cli"),
            Self::Azure => ("az", "azure-cli"),
        }
    }

    /// What runs the text of the rules, and takes it on its standard input.
    pub fn runner(self) -> &'static str {
        if self == Self::Nft { "nft -f -" } else { "sh" }
    }

    /// The rules, complete, to be piped into [`Tool::runner`].
    pub fn rules(self, wish: &Wish) -> String {
        match self {
            Self::Nft => nft::rules(wish),
            Self::Iptables => iptables::rules(wish),
            Self::Ufw => ufw::rules(wish),
            Self::Firewalld => firewalld::rules(wish),
            Self::Aws => cloud::aws(wish),
            Self::Gcp => cloud::gcp(wish),
            Self::Azure => cloud::azure(wish),
        }
    }

    /// What takes all of it away again, for the same runner; does nothing where there is nothing.
    pub fn removal(self) -> String {
        match self {
            Self::Nft => nft::REMOVE.to_owned(),
            Self::Iptables => iptables::removal(),
            Self::Ufw => ufw::REMOVE.to_owned(),
            Self::Firewalld => firewalld::REMOVE.to_owned(),
            Self::Aws => cloud::AWS_REMOVE.to_owned(),
            Self::Gcp => cloud::GCP_REMOVE.to_owned(),
            Self::Azure => cloud::AZURE_REMOVE.to_owned(),
        }
    }

    /// The command that shows what is loaded.
    pub fn show(self) -> &'static str {
        match self {
            Self::Nft => "nft list table inet mytls",
            Self::Iptables => "iptables -S MYTLS; ip6tables -S MYTLS",
            Self::Ufw => "ufw show added | grep mytls",
            Self::Firewalld => "firewall-cmd --info-policy mytls",
            Self::Aws => "aws ec2 describe-security-groups --filters Name=group-name,Values=mytls",
            Self::Gcp => "gcloud compute firewall-rules list --filter=name:mytls",
            Self::Azure => {
                "az network nsg rule list --resource-group \"$RESOURCE_GROUP\" --nsg-name \"$NSG\""
            }
        }
    }

    /// What a person should know before choosing it.
    pub fn notes(self, wish: &Wish) -> Vec<String> {
        const DOCKER: &str = "a port that Docker or podman publishes goes past these rules (it is \
            forwarded, not received): publish it on 127.0.0.1, or put the rules into DOCKER-USER";
        const NARROWS: &str = "they only close: where another firewall drops what comes from an \
            allowed address, allow it there, too";
        const STAYS: &str = "connections that are there stay, from wherever they are; who is not \
            allowed cannot open new ones";
        let mut notes: Vec<&str> = Vec::new();
        match self {
            Self::Nft => {
                notes.extend([STAYS, NARROWS, DOCKER]);
                notes.push("a restart of the host forgets them: save the output as a file that /etc/nftables.conf includes");
            }
            Self::Iptables => {
                notes.extend([STAYS, NARROWS, DOCKER]);
                notes.push("a restart of the host forgets them: netfilter-persistent save, or the way of your distribution");
            }
            Self::Ufw => {
                notes.push("connections that are there stay (ufw lets established ones through before its rules)");
                notes.push(DOCKER);
                notes.push("ufw has to be enabled; if it is not, allow ssh before: ufw allow OpenSSH");
            }
            Self::Firewalld => {
                notes.push("connections that are there stay (firewalld lets established ones through first)");
                notes.push(DOCKER);
                notes.push("needs firewalld 0.9 or later, which knows policies");
            }
            Self::Aws => {
                notes.push("security groups only allow: take the port out of every other group of the instance, or it stays open");
                notes.push("attach the group to the instance beside its others; AWS has no limit of connections");
            }
            Self::Gcp => notes.push("connections that are there stay; the rules go before those of priority 902 and more"),
            Self::Azure => notes.push("connections that are there stay; the rules go before those of priority 213 and more"),
        }
        if wish.limit.is_some() && !matches!(self, Self::Nft | Self::Iptables) {
            notes.push("this tool has no limit of connections for an address: max_user_connections of the account does it in the server");
        }
        notes.into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(allow: &str) -> Wish {
        let (allow, _) = AddressSet::read(allow.split(',')).unwrap();
        Wish::new(allow, vec![33060, 3306], Some(20)).unwrap()
    }

    const ALL: [Tool; 7] =
        [Tool::Nft, Tool::Iptables, Tool::Ufw, Tool::Firewalld, Tool::Aws, Tool::Gcp, Tool::Azure];

    #[test]
    fn every_tool_names_every_address_and_port_and_nothing_of_ssh() {
        let wish = wish("10.0.0.0/24,192.0.2.7,2001:db8::/64");
        for tool in ALL {
            let rules = tool.rules(&wish);
            for wanted in ["10.0.0.0/24", "192.0.2.7", "2001:db8::/64", "3306", "33060"] {
                assert!(rules.contains(wanted), "{tool:?} lacks {wanted}:\n{rules}");
            }
            let code: String = rules.lines().filter(|line| !line.starts_with('#')).collect();
            assert!(!code.contains("22,") && !code.contains("ssh"), "{tool:?}:\n{rules}");
            assert!(
                rules.ends_with('\n') && !rules.contains('<') || tool == Tool::Iptables,
                "{tool:?}: no placeholders"
            );
            assert!(!tool.removal().is_empty() && !tool.show().is_empty());
        }
    }

    #[test]
    fn what_a_shell_runs_parses_as_one() {
        use std::io::Write as _;
        for tool in ALL.into_iter().filter(|tool| tool.runner() == "sh") {
            for text in
                [tool.rules(&wish("10.0.0.1,::1")), tool.rules(&wish("10.0.0.1")), tool.removal()]
            {
                let mut sh = std::process::Command::new("sh")
                    .args(["-n"])
                    .stdin(std::process::Stdio::piped())
                    .spawn()
                    .unwrap();
                sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
                assert!(sh.wait().unwrap().success(), "{tool:?}:\n{text}");
            }
        }
    }

    #[test]
    fn a_family_of_which_nobody_is_allowed_is_closed_as_well() {
        let nft = Tool::Nft.rules(&wish("10.0.0.1"));
        assert!(nft.contains("set allow6") && nft.contains("drop"), "{nft}");
        let iptables = Tool::Iptables.rules(&wish("10.0.0.1"));
        assert_eq!(iptables.matches("-A MYTLS -j DROP").count(), 2, "{iptables}");
    }

    #[test]
    fn ports_are_bounded() {
        let new = |ports| Wish::new(AddressSet::default(), ports, None);
        assert_eq!(new(Vec::new()), None);
        assert_eq!(new(vec![0]), None);
        assert_eq!(new((1..=16).collect()), None);
        assert_eq!(new(vec![3307, 3306, 3306]).unwrap().ports(), [3306, 3307]);
    }
}
