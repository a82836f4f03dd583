//! A service made of systemd units on one or more hosts: which units it has, their restart and scaling through each host's hand.
//! Instance 1 is the unit, instance n the template with n in it.

use super::hand::{Answer, Op};
use super::{Fleet, InstanceStatus, ReachError, Restarted, Scaled, ServiceStatus, scaling};
use crate::domain::{Host, HostName, Service};
use std::collections::BTreeSet;

/// The units that normally run on a host.
pub fn normal(unit: &str, template: Option<&str>, base: u32) -> Vec<String> {
    let further = template.map_or(1, |_| base);
    (1..=further.max(1)).map(|n| nth(unit, template, n)).collect()
}

fn nth(unit: &str, template: Option<&str>, n: u32) -> String {
    match template {
        Some(template) if n > 1 => template.replace("{n}", &n.to_string()),
        _ => unit.to_owned(),
    }
}

impl Fleet {
    /// Without a template there is one unit a host, whatever the scale says.
    pub(super) fn base_of(&self, service: &Service, template: Option<&str>) -> u32 {
        normal("", template, service.scale.base).len() as u32
    }

    /// The normal instances and two more, if there is a template for them.
    pub(super) async fn instances(
        &self,
        host: &Host,
        service: &Service,
        unit: &str,
        template: Option<&str>,
    ) -> Result<Vec<InstanceStatus>, ReachError> {
        let base = self.base_of(service, template);
        let most = template.map_or(base, |_| base + scaling::MOST_EXTRA);
        let units: Vec<_> = (1..=most).map(|n| nth(unit, template, n)).collect();
        let asked = units.len();
        let mut seen = match self.ask(host, Op::Status { units }).await? {
            Answer::Instances(seen) if seen.len() == asked => seen,
            other => return Err(self.unexpected(host, &other, false)),
        };
        // systemd knows every instance of a template as soon as it is asked; one that does not run is not there.
        for extra in seen.iter_mut().skip(base as usize) {
            extra.exists = extra.active || extra.state.starts_with("failed") || extra.state.starts_with("activating");
        }
        Ok(seen)
    }

    pub(super) async fn restart_units(
        &self,
        service: &Service,
        host: Option<&HostName>,
        unit: &str,
        template: Option<&str>,
    ) -> Result<Restarted, ReachError> {
        let hosts = self.hosts(service, host)?;
        let base = self.base_of(service, template);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut touched = false;
        for host in hosts {
            let mut pairs = Vec::new();
            for unit in normal(unit, template, base) {
                let asked = self.ask(host, Op::Restart { unit }).await;
                match asked.map_err(|e| if touched { e.after_an_effect() } else { e })? {
                    Answer::Acted { before, after } => pairs.push((before, after)),
                    other => return Err(self.unexpected(host, &other, true)),
                }
                touched = true;
            }
            let (was, is): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            before.push((host.name.to_string(), ServiceStatus::of(&was, base)));
            after.push((host.name.to_string(), ServiceStatus::of(&is, base)));
        }
        Ok(Restarted { before: ServiceStatus::across(before), after: ServiceStatus::across(after) })
    }

    /// Counts on all hosts of the service, starts on one: the given one, or the only one.
    pub(super) async fn scale_units(
        &self,
        service: &Service,
        host: Option<&HostName>,
        unit: &str,
        template: Option<&str>,
        add: u32,
    ) -> Result<Scaled, ReachError> {
        let not_supported = |why: &str| ReachError::NotSupported { what: format!("scaling {}", service.name), why: why.to_owned() };
        let targets = self.hosts(service, host)?;
        let [target] = targets.as_slice() else {
            return Err(not_supported("it runs on several hosts: name one"));
        };
        if template.is_none() {
            return Err(not_supported("the inventory names no template for further instances (`template: \"worker@{n}.service\"`)"));
        }
        let (mut own, mut others) = (BTreeSet::new(), 0);
        for host in self.hosts(service, None)? {
            let seen = self.instances(host, service, unit, template).await?;
            let active = (1..).zip(&seen).filter(|(_, instance)| instance.active).map(|(n, _)| n);
            if host.name == target.name { own = active.collect() } else { others += active.count() as u32 }
        }
        let base = self.base_of(service, template);
        let normal_everywhere = base * service.hosts.len() as u32;
        let from = own.len() as u32 + others;
        let mut touched = false;
        for n in scaling::plan(service.name.as_str(), normal_everywhere, base, &own, others, add)? {
            let unit = nth(unit, template, n);
            let asked = self.ask(target, Op::Start { unit }).await;
            match asked.map_err(|e| if touched { e.after_an_effect() } else { e })? {
                Answer::Acted { .. } => touched = true,
                other => return Err(self.unexpected(target, &other, true)),
            }
        }
        let after: ServiceStatus = self.status(service, None).await.map_err(ReachError::after_an_effect)?;
        Ok(Scaled { from, to: after.instances_active })
    }
}
