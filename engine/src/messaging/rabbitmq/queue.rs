//! A lane's end of one or more RabbitMQ queues.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use amqprs::callbacks::DefaultChannelCallback;
use amqprs::channel::{
    BasicAckArguments, BasicConsumeArguments, BasicNackArguments, BasicQosArguments,
    BasicRejectArguments, Channel, ConsumerMessage,
};
use futures_util::future::{BoxFuture, FutureExt, pending, ready};
use futures_util::stream::{self, SelectAll, Stream, StreamExt};
use sqlx::postgres::PgRow;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, warn};

use super::Link;
use crate::config::QueueType;
use crate::database::{self, Lane};
use crate::messaging::{Message, MessagingError, Phase, Queue, StepId};

/// How long an acknowledgement may wait for others to share its frame.
const SETTLE_MAX: Duration = Duration::from_millis(50);

/// Deliveries of several queues; a consumer that ends is an error, and does not end in silence
/// beside others.
type Consumers = SelectAll<Pin<Box<dyn Stream<Item = Delivered> + Send + Sync>>>;
type Delivered = Result<ConsumerMessage, MessagingError>;

/// The broker's number of a message on the lane's channel.
type DeliveryTag = u64;

/// Consumers of all the lane's queues on one channel of its own.
pub(super) struct RabbitMqQueue {
    link: Arc<Link>,
    queues: Vec<String>,
    prefetch: u16,
    consumers: Option<(Channel, Consumers)>,
    delivered: Vec<(DeliveryTag, StepId)>,
    /// To be acknowledged before long. What was done to them is committed, but a crash of the
    /// database may take it back until the log is flushed.
    acted_on: Vec<DeliveryTag>,
    /// When they are acknowledged at the latest.
    settle_at: Instant,
    database: Lane,
    /// Hears other instances' calls for as long as the lane lives.
    _listening: AbortOnDropHandle<()>,
}

impl RabbitMqQueue {
    pub(super) fn new(
        link: Arc<Link>,
        queues: Vec<String>,
        prefetch: u16,
        listening: AbortOnDropHandle<()>,
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
            settle_at: Instant::now(),
            database,
            _listening: listening,
        }
    }

    async fn consume(&self) -> Result<(Channel, Consumers), MessagingError> {
        let connection = self.link.connected().await;
        let channel = connection.open_channel(None).await?;
        channel.register_callback(DefaultChannelCallback).await?;
        // For all consumers together; quorum queues know it only for each.
        let is_common = self.link.options.queue_type == QueueType::Classic;
        channel.basic_qos(BasicQosArguments::new(0, self.prefetch, is_common)).await?;
        let mut consumers = SelectAll::new();
        for queue in &self.queues {
            self.link.ensure_queue(&connection, queue).await?;
            let name = format!("{}{queue}", self.link.options.queue_prefix);
            let arguments = BasicConsumeArguments::new(&name, "");
            let (_, mut deliveries) = channel.basic_consume_rx(arguments).await?;
            let deliveries = stream::poll_fn(move |context| deliveries.poll_recv(context)).map(Ok);
            let ended = stream::once(ready(Err(MessagingError::ConsumerEnded(name))));
            consumers.push(Box::pin(deliveries.chain(ended)) as _);
        }
        self.link.republish().await; // what a lost queue held, if one was
        Ok((channel, consumers))
    }

    /// Acknowledges what was acted on, once it can't be lost any more.
    async fn settle(&mut self) {
        let flush = async { database::flush_log(self.database.connection().await?).await };
        if let Err(error) = flush.await {
            warn!(%error, messages = self.acted_on.len(), "messages are given back");
            self.database.reset();
            self.give_back(Vec::new()).await;
            return;
        }
        let mut acted_on = std::mem::take(&mut self.acted_on);
        // Of one queue the oldest are taken first: all up to the last have been acted on.
        let multiple = self.queues.len() == 1;
        if multiple {
            acted_on = acted_on.into_iter().max().into_iter().collect();
        }
        let Some(channel) = self.channel() else {
            return; // gone: they come again, which changes nothing
        };
        for tag in acted_on {
            let _ = channel.basic_ack(BasicAckArguments::new(tag, multiple)).await;
        }
    }

    /// Has these delivered again, and with them what a crash of the database may have taken back.
    async fn give_back(&mut self, mut tags: Vec<DeliveryTag>) {
        tags.append(&mut self.acted_on);
        let Some(channel) = self.channel() else {
            return; // gone: the broker has taken them back by itself
        };
        for tag in tags {
            let _ = channel.basic_nack(BasicNackArguments::new(tag, false, true)).await;
        }
    }

    /// The channel on which the messages came, as long as it is open: on a closed one, an
    /// acknowledgement would make the broker close the connection.
    fn channel(&self) -> Option<&Channel> {
        let (channel, _) = self.consumers.as_ref()?;
        channel.is_open().then_some(channel)
    }

    /// The next delivery that names a step; what doesn't is refused for good.
    async fn next(&mut self) -> Result<(DeliveryTag, StepId), MessagingError> {
        let (channel, consumers) = self.consumers.as_mut().expect("the wait has made them");
        loop {
            let next = consumers.next().await;
            let next =
                next.unwrap_or_else(|| Err(MessagingError::ConsumerEnded("no queue".into())));
            let delivery = match next {
                Ok(delivery) => delivery,
                Err(error) => {
                    self.consumers = None;
                    return Err(error);
                }
            };
            let tag = delivery.deliver.map_or(0, |deliver| deliver.delivery_tag());
            match serde_json::from_slice(&delivery.content.unwrap_or_default()) {
                Ok(Message { step_id }) => return Ok((tag, step_id)),
                Err(error) => {
                    error!(%error, "a message that names no step is refused");
                    channel.basic_reject(BasicRejectArguments::new(tag, false)).await?;
                }
            }
        }
    }
}

impl Queue for RabbitMqQueue {
    fn wait(&mut self, patience: Duration) -> BoxFuture<'_, Result<(), MessagingError>> {
        Box::pin(async move {
            if self.acted_on.len() >= usize::from(self.prefetch / 2).max(1) {
                self.settle().await;
            }
            // However long it takes: given up half-way, it would never be done.
            if self.consumers.is_none() {
                // With their channel they have gone back to the broker, and come again.
                self.delivered.clear();
                self.acted_on.clear();
                self.consumers = Some(self.consume().await?);
            }
            let end = Instant::now() + patience;
            while self.delivered.is_empty() {
                let settling = !self.acted_on.is_empty();
                let until = if settling { end.min(self.settle_at) } else { end };
                match tokio::time::timeout_at(until, self.next()).await {
                    Ok(next) => self.delivered.push(next?),
                    Err(_) if settling => self.settle().await,
                    Err(_) => return Ok(()),
                }
            }
            Ok(())
        })
    }

    fn hear(&mut self) -> BoxFuture<'_, MessagingError> {
        Box::pin(pending()) // what hears them is a task of its own
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
                    Some(Err(_)) | None => break, // after an error the next wait consumes anew
                }
            }
            let count = self.delivered.len().min(max);
            let mut taken: Vec<_> = self.delivered.drain(..count).collect();
            if taken.is_empty() {
                return Ok(Vec::new());
            }
            taken.sort_unstable_by_key(|(_, step)| *step);
            let (tags, steps): (Vec<DeliveryTag>, Vec<StepId>) = taken.into_iter().unzip();
            let acted = async {
                phase.delivered(&steps).fetch_all(self.database.connection().await?).await
            };
            match acted.await {
                Ok(rows) => {
                    if self.acted_on.is_empty() {
                        self.settle_at = Instant::now() + SETTLE_MAX;
                    }
                    self.acted_on.extend(tags);
                    Ok(rows)
                }
                Err(error) => {
                    self.database.reset();
                    self.give_back(tags).await;
                    Err(error.into())
                }
            }
        })
    }
}
