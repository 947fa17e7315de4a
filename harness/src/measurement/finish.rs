//! The end of a run: what it saw, once the cluster is gone.

use super::{Measurement, RunError, Servers};
use crate::accounting::Balance;
use crate::audit::{self, Asked, Clocks};
use crate::floor::FloorSummary;
use crate::raw::RawRun;
use crate::step_time::StepSeconds;
use crate::subject::Subject;
use crate::verdict::Observations;

/// A run is marked when other processes take more than this share of the machine's CPU.
const OTHERS_SHARE_MAX: f64 = 0.1;

impl Measurement {
    /// Measures the floor a last time, stops the cluster, and reads its database.
    ///
    /// # Errors
    /// A server fails.
    pub async fn finish(mut self) -> Result<RawRun, RunError> {
        self.measure_floor().await?;
        self.accountant.before_stop(&self.client).await;
        let step_seconds = StepSeconds::read(&self.client, &self.cluster.worker_urls()).await;
        let step_time = step_seconds.zip(self.step_seconds);
        self.keep_metrics().await?;
        let own_flushes = (!self.plan.counts_only).then(|| self.probe.commits());
        self.probe.close().await?;
        let mut faults = self.cluster.stop().await;
        let mut seen = self.seen.into_inner();
        let samples = self.next - self.warm_from;
        let Balance { mut accounts, gaps, others_share } =
            self.accountant.close(samples + self.accounted, own_flushes).await?;

        let mut connection = self.database.connect_to_engine().await?;
        let own = Asked {
            workload: &self.workload,
            numbers: &seen.asked,
            tasks_a_sample: self.scenario.tasks_a_sample.into(),
            measured_from: self.warm_from,
        };
        let others_seen = self.compared.as_ref().map(|compared| compared.other.seen.take());
        let mut asked = vec![own];
        if let (Some(compared), Some(seen)) = (&self.compared, &others_seen)
            && !compared.other.had_own_cluster
        {
            asked.push(compared.other.asked(seen));
        }
        let clocks = Clocks { by_task: &seen.clocks, ahead_us: self.ahead_us };
        let mut findings = audit::examine(&mut connection, &asked, clocks).await?;
        drop((connection, asked));
        let mut difference = None;
        if let Some((compared, others)) = self.compared.zip(others_seen) {
            findings.wrong.extend(others.wrong.into_iter().chain(compared.wrong));
            seen.unfinished.extend(others.unfinished);
            faults.extend(compared.faults);
            difference = compared.difference;
        }
        accounts.mean.step_transitions = findings.step_transitions.mean();
        accounts.mean.task_transitions = findings.task_transitions.mean();
        let spreads = [
            ("step_transitions", findings.step_transitions.spread()),
            ("task_transitions", findings.task_transitions.spread()),
        ];
        let spreads = spreads.into_iter().filter_map(|(name, s)| Some((name.to_owned(), s?)));
        accounts.each.extend(spreads);

        let wrong = seen.wrong.into_iter().chain(findings.wrong);
        let mut observations = Observations {
            late_ms_p99: seen.late.quantile_ms(0.99),
            recorder: seen.recorder,
            busy: self.driven.busy,
            offering: self.driven.offering,
            wrong: wrong.map(|(task, wrong)| format!("task {task}: {wrong}")).collect(),
            unfinished: seen.unfinished,
            faults,
            gaps,
            notes: notes(seen.retries, others_share, &self.servers),
            accounts,
            floor: FloorSummary::of(self.floor),
            difference,
            step_time: step_time.and_then(|(now, then)| now.since(then)),
            times: findings.times,
            trace: self.traces.and_then(|received| received.trace(&seen.clocks)),
            is_missing: false,
        };
        let mut subject = Subject::of(&self.scenario, self.plan);
        let major = self.servers.facts.version_num / 10_000;
        if let Some(of) = subject.declared.as_ref().map(|declared| declared.postgresql)
            && i64::from(of) != i64::from(major)
        {
            observations.notes.push(format!(
                "the texts of statements are not judged: they are declared for PostgreSQL {of}"
            ));
            subject.declared = None;
        }
        Ok(RawRun { subject, seen: observations, took: self.began.elapsed() })
    }

    /// Keeps each instance's page of metrics beside its log, as it stands when load is over. One
    /// that has none is only told of: nothing is judged by them.
    async fn keep_metrics(&self) -> Result<(), RunError> {
        for instance in self.cluster.instances() {
            match self.client.page(&format!("{}/metrics", instance.url())).await {
                Ok(page) => {
                    let path = self.logs.join(format!("{}.metrics.txt", instance.name()));
                    std::fs::write(&path, page).map_err(|error| RunError::File { path, error })?;
                }
                Err(error) => tracing::warn!(%error, "an instance's metrics"),
            }
        }
        Ok(())
    }
}

fn notes(retries: u64, others_share: f64, servers: &Servers) -> Vec<String> {
    let mut notes = Vec::new();
    if servers.postgres.pid.is_some() && others_share > OTHERS_SHARE_MAX {
        notes.push(format!(
            "other processes took {:.0} % of the machine's CPU while load was on (marked above \
             {:.0} %)",
            100.0 * others_share,
            100.0 * OTHERS_SHARE_MAX
        ));
    }
    if retries > 0 {
        notes.push(format!("{retries} calls of the client were made again (connection or 503)"));
    }
    if servers.postgres.pid.is_none() {
        notes.push("CPU time of the servers is not in cpu_ms: they are not ours".to_owned());
    }
    notes
}
