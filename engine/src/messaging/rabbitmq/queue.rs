//! A lane's end of one or more RabbitMQ queues.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{SelectAll, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use sqlx::postgres::PgRow;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use super::Link;
use crate::database::Lane;
use crate::messaging::{MessagingError, Phase, Queue, StepRef};

/// Consumers of all the lane's queues on one channel of its own.
pub(super) struct RabbitMqQueue {
    link: Arc<Link>,
    queues: Vec<String>,
    prefetch: u16,
    consumers: Option<(Channel, SelectAll<Consumer>)>,
    delivered: Vec<(Delivery, StepRef)>,
    /// To be acknowledged at the next wait: what was done to them is committed, and what follows
    /// from it need not wait for the broker.
    acted_on: Vec<Delivery>,
    database: Lane,
    /// Hears of ended tasks for as long as the lane lives.
    _listening: Option<AbortOnDropHandle<()>>,
}

impl RabbitMqQueue {
    pub(super) fn new(
        link: Arc<Link>,
        queues: Vec<String>,
        prefetch: u16,
        listening: Option<AbortOnDropHandle<()>>,
    ) -> Self {
        let database = Lane::new(link.database.clone());
        let (delivered, acted_on) = (Vec::new(), Vec::new());
        let consumers = None;
        Self {
            link,
            queues,
            prefetch,
            consumers,
            delivered,
            acted_on,
            database,
            _listening: listening,
        }
    }

    async fn consume(&self) -> Result<(Channel, SelectAll<Consumer>), MessagingError> {
        let connection = self.link.connected().await;
        let channel = connection.create_channel().await?;
        channel.basic_qos(self.prefetch, BasicQosOptions { global: true }).await?;
        let mut consumers = SelectAll::new();
        for queue in &self.queues {
            self.link.ensure_queue(&connection, queue).await?;
            let name = format!("{}{queue}", self.link.options.queue_prefix);
            let options = BasicConsumeOptions::default();
            let no_arguments = FieldTable::default();
            let consumer =
                channel.basic_consume(name.as_str().into(), "".into(), options, no_arguments);
            consumers.push(consumer.await?);
        }
        Ok((channel, consumers))
    }

    /// The next delivery that names a step; what doesn't is refused for good.
    async fn next(&mut self) -> Result<(Delivery, StepRef), MessagingError> {
        let (_, consumers) = self.consumers.as_mut().expect("the wait has made them");
        loop {
            let delivery = match consumers.next().await {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => {
                    self.consumers = None;
                    return Err(error.into());
                }
                None => {
                    self.consumers = None;
                    return Err(MessagingError::ConsumerEnded(self.queues.join(", ")));
                }
            };
            match serde_json::from_slice(&delivery.data) {
                Ok(step) => return Ok((delivery, step)),
                Err(error) => {
                    error!(%error, "a message that names no step is refused");
                    delivery.reject(BasicRejectOptions { requeue: false }).await?;
                }
            }
        }
    }
}

impl Queue for RabbitMqQueue {
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async move {
            let acks = self.acted_on.iter().map(|one| one.ack(BasicAckOptions::default()));
            // Where the channel is gone, they come again, which changes nothing.
            let _ = join_all(acks).await;
            self.acted_on.clear();
            // However long it takes: given up half-way, it would never be done.
            if self.consumers.is_none() {
                self.consumers = Some(self.consume().await?);
            }
            if self.delivered.is_empty()
                && let Ok(next) = tokio::time::timeout(patience, self.next()).await
            {
                self.delivered.push(next?);
            }
            Ok(())
        })
    }

    fn act<'a>(
        &'a mut self,
        phase: &'a dyn Phase,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<PgRow>, MessagingError>> {
        Box::pin(async move {
            while self.consumers.is_some() && self.delivered.len() < max {
                match self.next().now_or_never() {
                    Some(Ok(next)) => self.delivered.push(next),
                    Some(Err(_)) | None => break, // an error comes up again in the next wait
                }
            }
            let count = self.delivered.len().min(max);
            let mut taken: Vec<_> = self.delivered.drain(..count).collect();
            if taken.is_empty() {
                return Ok(Vec::new());
            }
            taken.sort_unstable_by_key(|(_, step)| (step.task_id, step.step_no));
            let (deliveries, steps): (Vec<Delivery>, Vec<StepRef>) = taken.into_iter().unzip();
            let acted = async {
                phase.delivered(&steps).fetch_all(self.database.connection().await?).await
            };
            match acted.await {
                Ok(rows) => {
                    self.acted_on.extend(deliveries);
                    Ok(rows)
                }
                Err(error) => {
                    self.database.reset();
                    let requeue = BasicNackOptions { requeue: true, multiple: false };
                    // Where the channel is gone, the broker has taken them back by itself.
                    let _ = join_all(deliveries.iter().map(|one| one.nack(requeue))).await;
                    Err(error.into())
                }
            }
        })
    }
}
