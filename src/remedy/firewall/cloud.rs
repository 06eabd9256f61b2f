//! The command lines of three clouds. What only their owner knows comes from variables, and the
//! script says at once which of them is missing.

use std::fmt::Write as _;

use serde_json::json;

use super::Wish;
use crate::facts::network::Network;

const AWS_GROUP: &str = "group=$(aws ec2 describe-security-groups \
    --filters \"Name=group-name,Values=mytls\" \"Name=vpc-id,Values=$VPC_ID\" \
    --query 'SecurityGroups[0].GroupId' --output text)\n";
const AWS_VPC: &str = ": \"${VPC_ID:?set VPC_ID to the VPC of the server}\"\n";

pub const AWS_REMOVE: &str = "set -e\n\
    : \"${VPC_ID:?set VPC_ID to the VPC of the server}\"\n\
    group=$(aws ec2 describe-security-groups \
    --filters \"Name=group-name,Values=mytls\" \"Name=vpc-id,Values=$VPC_ID\" \
    --query 'SecurityGroups[0].GroupId' --output text)\n\
    [ \"$group\" = None ] || aws ec2 delete-security-group --group-id \"$group\"\n";

/// A group of its own. What it allowed before is revoked first, since AWS refuses what is there twice:
/// for that moment nobody can open a new connection.
pub fn aws(wish: &Wish) -> String {
    let ranges = |ipv4: bool, name: &str| -> Vec<serde_json::Value> {
        let one = |network: Network| json!({name: network.cidr(), "Description": "mytls"});
        wish.allow.family(ipv4).map(one).collect()
    };
    let permissions: Vec<serde_json::Value> = wish
        .ports()
        .iter()
        .map(|port| {
            let mut one = json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port});
            for (key, list) in
                [("IpRanges", ranges(true, "CidrIp")), ("Ipv6Ranges", ranges(false, "CidrIpv6"))]
            {
                if !list.is_empty() {
                    one[key] = list.into();
                }
            }
            one
        })
        .collect();
    let permissions = serde_json::Value::from(permissions);
    let mut out = wish.head("run it with: VPC_ID=… sh FILE");
    let _ = write!(
        out,
        "set -e\n{AWS_VPC}{AWS_GROUP}\
         [ \"$group\" != None ] || group=$(aws ec2 create-security-group --group-name mytls \
         --description \"MySQL from known addresses (mytls)\" --vpc-id \"$VPC_ID\" \
         --query GroupId --output text)\n\
         old=$(aws ec2 describe-security-group-rules --filters \"Name=group-id,Values=$group\" \
         --query 'SecurityGroupRules[?!IsEgress].SecurityGroupRuleId' --output text)\n\
         [ -z \"$old\" ] || aws ec2 revoke-security-group-ingress --group-id \"$group\" \
         --security-group-rule-ids $old\n"
    );
    if !wish.allow.is_empty() {
        let _ = writeln!(
            out,
            "aws ec2 authorize-security-group-ingress --group-id \"$group\" --ip-permissions '{permissions}'"
        );
    }
    out.push_str("echo \"attach $group to the server's network interface\"\n");
    out
}

pub const GCP_REMOVE: &str = "for rule in mytls-allow4 mytls-allow6 mytls-deny4 mytls-deny6; do\n\
    ! gcloud compute firewall-rules describe \"$rule\" >/dev/null 2>&1 || \
    gcloud compute firewall-rules delete --quiet \"$rule\" || exit 1\ndone\n";

/// Allowed first, then denied, each family for itself: a rule holds one family only.
pub fn gcp(wish: &Wish) -> String {
    let ports = wish.ports().iter().map(|port| format!("tcp:{port}")).collect::<Vec<_>>().join(",");
    let mut out = wish.head("run it with: NETWORK=… TARGET_TAG=… sh FILE");
    let _ = write!(
        out,
        "set -e\n\
         : \"${{NETWORK:?set NETWORK to the network of the server}}\"\n\
         : \"${{TARGET_TAG:?set TARGET_TAG to the network tag of the server}}\"\n\
         put() {{ # name, priority, action, sources\n\
         \tif gcloud compute firewall-rules describe \"$1\" >/dev/null 2>&1; then\n\
         \t\tgcloud compute firewall-rules update \"$1\" --priority \"$2\" --rules {ports} --source-ranges \"$4\"\n\
         \telse\n\
         \t\tgcloud compute firewall-rules create \"$1\" --network \"$NETWORK\" --target-tags \"$TARGET_TAG\" \
         --direction INGRESS --priority \"$2\" --action \"$3\" --rules {ports} --source-ranges \"$4\"\n\
         \tfi\n\
         }}\n\
         gone() {{\n\
         \t! gcloud compute firewall-rules describe \"$1\" >/dev/null 2>&1 || gcloud compute firewall-rules delete --quiet \"$1\"\n\
         }}\n"
    );
    for (family, ipv4, all) in [("4", true, "0.0.0.0/0"), ("6", false, "::/0")] {
        let sources: Vec<String> = wish.allow.family(ipv4).map(Network::cidr).collect();
        let _ = if sources.is_empty() {
            writeln!(out, "gone mytls-allow{family}")
        } else {
            writeln!(out, "put mytls-allow{family} 900 ALLOW {}", sources.join(","))
        };
        let _ = writeln!(out, "put mytls-deny{family} 901 DENY {all}");
    }
    out
}

const AZURE_NEEDS: &str = ": \"${RESOURCE_GROUP:?set RESOURCE_GROUP to that of the security group}\"\n\
    : \"${NSG:?set NSG to the network security group of the server}\"\n";
pub const AZURE_REMOVE: &str = "set -e\n\
    : \"${RESOURCE_GROUP:?set RESOURCE_GROUP to that of the security group}\"\n\
    : \"${NSG:?set NSG to the network security group of the server}\"\n\
    for rule in mytls-deny mytls-allow4 mytls-allow6; do\n\
    az network nsg rule delete --resource-group \"$RESOURCE_GROUP\" --nsg-name \"$NSG\" --name \"$rule\"\n\
    done\n";

/// `create` puts a rule in the place of one of the same name.
pub fn azure(wish: &Wish) -> String {
    let ports = wish.ports_with(" ");
    let mut out = wish.head("run it with: RESOURCE_GROUP=… NSG=… sh FILE");
    let _ = write!(out, "set -e\n{AZURE_NEEDS}");
    let group = "--resource-group \"$RESOURCE_GROUP\" --nsg-name \"$NSG\"";
    let mut put = |name: &str, priority: u16, access: &str, sources: &str| {
        let _ = writeln!(
            out,
            "az network nsg rule create {group} --name {name} --priority {priority} \
             --direction Inbound --protocol Tcp --access {access} \
             --source-address-prefixes {sources} --destination-port-ranges {ports}"
        );
    };
    for (family, ipv4, priority) in [("4", true, 210), ("6", false, 211)] {
        let sources: Vec<String> = wish.allow.family(ipv4).map(Network::cidr).collect();
        if !sources.is_empty() {
            put(&format!("mytls-allow{family}"), priority, "Allow", &sources.join(" "));
        }
    }
    put("mytls-deny", 212, "Deny", "'*'");
    for (family, ipv4) in [("4", true), ("6", false)] {
        if wish.allow.family(ipv4).next().is_none() {
            let _ = writeln!(out, "az network nsg rule delete {group} --name mytls-allow{family}");
        }
    }
    out
}
