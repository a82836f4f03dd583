//! A further instance of a container: the same image, command, environment, labels, mounts and networks. Never its host ports
//! (they are taken), its addresses or its host name (they are its own).

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, EndpointSettings, NetworkConnectRequest, NetworkingConfig};
use std::collections::HashMap;

/// On every copy: the name of the container it was copied from.
pub const LABEL: &str = "paramedic.copy-of";

pub struct Copy {
    pub body: ContainerCreateBody,
    /// To be joined after it was made.
    pub networks: HashMap<String, EndpointSettings>,
}

pub fn is_of(container: &ContainerInspectResponse, name: &str) -> bool {
    let labels = container.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(LABEL)).is_some_and(|original| original == name)
}

pub fn of(original: &ContainerInspectResponse, name: &str) -> Result<Copy, String> {
    let config = original.config.as_ref().ok_or("docker does not tell how it was made")?;
    // What docker tells about a container has the fields that making one takes, under the same names.
    let fields = serde_json::to_value(config).map_err(|e| e.to_string())?;
    let mut body: ContainerCreateBody = serde_json::from_value(fields).map_err(|e| e.to_string())?;
    body.hostname = None;
    // By its digest: a tag may mean another version by now, and scaling is no deployment.
    body.image = original.image.clone().or(body.image);
    body.labels.get_or_insert_default().insert(LABEL.to_owned(), name.to_owned());
    let mut host = original.host_config.clone().unwrap_or_default();
    host.port_bindings = None;
    host.publish_all_ports = Some(false);
    host.container_id_file = None;
    let mode = host.network_mode.clone().unwrap_or_default();
    body.host_config = Some(host);
    let mut networks = own_networks(original);
    // Its first network comes with the mode; older engines take only one when a container is made.
    if let Some(settings) = networks.remove(&mode) {
        body.networking_config = Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(mode, settings)])) });
    }
    Ok(Copy { body, networks })
}

pub fn further_networks(
    networks: HashMap<String, EndpointSettings>,
    container: &str,
) -> impl Iterator<Item = (String, NetworkConnectRequest)> {
    networks.into_iter().map(move |(network, settings)| {
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(settings) };
        (network, request)
    })
}

/// The user's networks with their aliases; the built-in ones come with the mode and have none.
fn own_networks(original: &ContainerInspectResponse) -> HashMap<String, EndpointSettings> {
    let networks = original.network_settings.as_ref().and_then(|settings| settings.networks.clone()).unwrap_or_default();
    let short_id: String = original.id.iter().flat_map(|id| id.chars().take(12)).collect();
    let built_in = ["bridge", "host", "none", "default"];
    networks
        .into_iter()
        .filter(|(name, _)| !built_in.contains(&name.as_str()))
        .map(|(name, settings)| {
            let aliases = settings.aliases.map(|all| all.into_iter().filter(|alias| *alias != short_id).collect());
            let settings =
                EndpointSettings { aliases, driver_opts: settings.driver_opts, links: settings.links, ..EndpointSettings::default() };
            (name, settings)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_copy_has_everything_but_ports_addresses_and_host_name() {
        let original: ContainerInspectResponse = serde_json::from_value(json!({
            "Id": "0123456789abcdef", "Image": "sha256:aa", "Name": "/api",
            "Config": {"Hostname": "0123456789ab", "Image": "api:latest", "Env": ["A=1"], "Cmd": ["serve"], "Entrypoint": ["/app"], "Labels": {"team": "x"}},
            "HostConfig": {"NetworkMode": "front", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}, "PublishAllPorts": true, "Binds": ["/data:/data"]},
            "NetworkSettings": {"Networks": {
                "front": {"Aliases": ["api", "0123456789ab"], "IPAddress": "172.18.0.2", "MacAddress": "02:42:ac:12:00:02"},
                "back": {"IPAddress": "172.19.0.2"}}}
        }))
        .unwrap();
        let copy = of(&original, "api").unwrap();
        let seen = serde_json::to_value(&copy.body).unwrap();
        assert_eq!(seen["Image"], "sha256:aa");
        assert_eq!((&seen["Env"], &seen["Cmd"], &seen["Entrypoint"]), (&json!(["A=1"]), &json!(["serve"]), &json!(["/app"])));
        assert_eq!(seen["Labels"], json!({"team": "x", "paramedic.copy-of": "api"}));
        assert_eq!(seen["HostConfig"], json!({"NetworkMode": "front", "PublishAllPorts": false, "Binds": ["/data:/data"]}));
        assert_eq!(seen["NetworkingConfig"], json!({"EndpointsConfig": {"front": {"Aliases": ["api"]}}}));
        assert!(seen.get("Hostname").is_none());
        assert_eq!(copy.networks.keys().collect::<Vec<_>>(), ["back"]);
    }
}
