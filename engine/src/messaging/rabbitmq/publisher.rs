//! Publishing with confirms. A message leaves the outbox when the broker has confirmed it, in
//! bulk and off the path of the lanes.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use amqprs::callbacks::ChannelCallback;
use amqprs::channel::{BasicPublishArguments, Channel, ConfirmSelectArguments};
use amqprs::error::Error;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tracing::warn;
use uuid::Uuid;

use super::outbox::Outbox;
use crate::messaging::Outgoing;

/// Confirmations that may be waited for at once; publishing waits beyond that.
const UNCONFIRMED_MAX: usize = 10_000;

/// Most of them that one statement takes out of the outbox.
const COLLECTED_MAX: usize = 500;

/// Delivery mode 2: the message is written to disk.
const PERSISTENT: u8 = 2;

/// How long closing waits for outstanding confirmations.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Pause between two statements that take confirmed messages out of the outbox: nobody waits for
/// it, and one statement takes out all that have come meanwhile.
const COLLECT_PAUSE: Duration = Duration::from_millis(50);

/// A message, and whether the broker has it.
type Answered = (Uuid, bool);

/// The publishing end: a channel while there is a connection.
pub(super) struct Publisher {
    prefix: String,
    publishing: AsyncMutex<Option<Publishing>>,
    answered: mpsc::UnboundedSender<Answered>,
    outbox: Outbox,
    /// Messages whose answer is not dealt with.
    outstanding: watch::Sender<usize>,
}

/// A channel in confirm mode, whose messages the broker numbers from 1 as they come.
struct Publishing {
    channel: Channel,
    last_tag: u64,
    unanswered: Unanswered,
}

impl Publisher {
    /// A publisher without a channel yet, and the task that collects the broker's answers.
    pub(super) fn start(outbox: Outbox, prefix: String) -> Self {
        let (answered, answers) = mpsc::unbounded_channel();
        let outstanding = watch::Sender::new(0);
        tokio::spawn(collect(answers, outbox.clone(), outstanding.clone()));
        Self { prefix, publishing: AsyncMutex::default(), answered, outbox, outstanding }
    }

    /// Publishes on this channel from now on.
    pub(super) async fn attach(&self, channel: Channel) -> Result<(), Error> {
        let unanswered = Unanswered::new();
        let answered = self.answered.clone();
        let answers =
            Answers { unanswered: unanswered.clone(), returned: HashSet::new(), answered };
        channel.register_callback(answers).await?;
        channel.confirm_select(ConfirmSelectArguments::default()).await?;
        *self.publishing.lock().await = Some(Publishing { channel, last_tag: 0, unanswered });
        Ok(())
    }

    pub(super) async fn detach(&self) {
        *self.publishing.lock().await = None;
    }

    pub(super) async fn is_attached(&self) -> bool {
        let publishing = self.publishing.lock().await;
        publishing.as_ref().is_some_and(|publishing| publishing.channel.is_open())
    }

    /// Publishes messages; those that can't be are marked unsent and stay in the outbox.
    pub(super) async fn publish(&self, outgoing: Outgoing) {
        if outgoing.message_ids.is_empty() {
            return;
        }
        let mut outstanding = self.outstanding.subscribe();
        let room = outstanding.wait_for(|count| *count < UNCONFIRMED_MAX).await;
        drop(room.expect("the sender lives as long as this publisher"));
        let mut unsent = Vec::new();
        let Outgoing { message_ids, queues, priorities, bodies } = outgoing;
        let messages = message_ids.into_iter().zip(queues).zip(priorities.into_iter().zip(bodies));
        // One at a time: the broker's numbers are those of the order on the channel.
        let mut publishing = self.publishing.lock().await;
        for ((message_id, queue), (priority, body)) in messages {
            let queue = format!("{}{queue}", self.prefix);
            self.outstanding.send_modify(|count| *count += 1);
            let sent = match publishing.as_mut() {
                Some(publishing) => publishing.send(message_id, &queue, priority, body).await,
                None => false,
            };
            if !sent {
                self.outstanding.send_modify(|count| *count -= 1);
                unsent.push(message_id);
            }
        }
        drop(publishing);
        if !unsent.is_empty()
            && let Err(error) = self.outbox.mark_unsent(&unsent).await
        {
            warn!(%error, "unsent messages can't be marked; they are sent again when old");
        }
    }

    /// Waits until everything published has been confirmed or given up, for a short while.
    pub(super) async fn drain(&self) {
        let mut outstanding = self.outstanding.subscribe();
        let drained = outstanding.wait_for(|count| *count == 0);
        let _ = tokio::time::timeout(DRAIN_MAX, drained).await; // the outbox keeps what is left
    }
}

impl Publishing {
    /// Sends a message; whether there will be an answer to it, for better or worse.
    async fn send(&mut self, message_id: Uuid, queue: &str, priority: i16, body: String) -> bool {
        self.last_tag += 1;
        // First, as the answer may be quick.
        if !self.unanswered.add(self.last_tag, message_id) {
            return false;
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_priority(u8::try_from(priority).unwrap_or(0))
            .with_content_type("application/json")
            .with_message_id(&message_id.to_string())
            .finish();
        let arguments = BasicPublishArguments::new("", queue).mandatory(true).finish();
        let sent = self.channel.basic_publish(properties, body.into_bytes(), arguments).await;
        if let Err(error) = sent {
            warn!(%error, "a message can't be published"); // the channel's end answers
        }
        true
    }
}

/// Messages of a channel that the broker has not answered, by its number; none once the channel
/// has ended.
#[derive(Clone)]
struct Unanswered(Arc<Mutex<Option<BTreeMap<u64, Uuid>>>>);

impl Unanswered {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(BTreeMap::new()))))
    }

    /// Whether the channel is still there to have it answered.
    fn add(&self, tag: u64, message_id: Uuid) -> bool {
        let mut messages = self.0.lock().expect("no holder panics");
        messages.as_mut().is_some_and(|messages| messages.insert(tag, message_id).is_none())
    }

    /// The message of this number; where `multiple`, of all up to it.
    fn take(&self, tag: u64, multiple: bool) -> Vec<Uuid> {
        let mut messages = self.0.lock().expect("no holder panics");
        let Some(messages) = messages.as_mut() else {
            return Vec::new();
        };
        if !multiple {
            return messages.remove(&tag).into_iter().collect();
        }
        let later = messages.split_off(&(tag + 1));
        std::mem::replace(messages, later).into_values().collect()
    }

    fn end(&self) -> Vec<Uuid> {
        let messages = self.0.lock().expect("no holder panics").take();
        messages.unwrap_or_default().into_values().collect()
    }
}

/// Hears what becomes of the messages of a channel.
struct Answers {
    unanswered: Unanswered,
    /// Messages that had no queue to go to: the broker says so before it confirms them.
    returned: HashSet<Uuid>,
    answered: mpsc::UnboundedSender<Answered>,
}

impl Answers {
    fn answer(&mut self, message_ids: Vec<Uuid>, confirmed: bool) {
        for message_id in message_ids {
            let confirmed = confirmed && !self.returned.remove(&message_id);
            let _ = self.answered.send((message_id, confirmed)); // nobody collects at the end
        }
    }
}

#[async_trait]
impl ChannelCallback for Answers {
    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        let message_ids = self.unanswered.take(ack.delivery_tag(), ack.mutiple());
        self.answer(message_ids, true);
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        let message_ids = self.unanswered.take(nack.delivery_tag(), nack.multiple());
        self.answer(message_ids, false);
    }

    async fn publish_return(
        &mut self,
        _: &Channel,
        _: Return,
        properties: BasicProperties,
        _: Vec<u8>,
    ) {
        let message_id = properties.message_id().and_then(|id| id.parse().ok());
        self.returned.extend::<Option<Uuid>>(message_id);
    }

    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), Error> {
        warn!(reason = close.reply_text().as_str(), "RabbitMQ has closed the publishing channel");
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(()) // nothing is consumed here
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active) // RabbitMQ never asks; it blocks connections instead
    }
}

impl Drop for Answers {
    /// The channel has ended: what it has not answered must be sent again.
    fn drop(&mut self) {
        let message_ids = self.unanswered.end();
        self.answer(message_ids, false);
    }
}

async fn collect(
    mut answers: mpsc::UnboundedReceiver<Answered>,
    outbox: Outbox,
    outstanding: watch::Sender<usize>,
) {
    let mut batch = Vec::new();
    loop {
        let collected = answers.recv_many(&mut batch, COLLECTED_MAX).await;
        if collected == 0 {
            return; // the publisher is gone
        }
        let (confirmed, unsent): (Vec<_>, Vec<_>) =
            batch.drain(..).partition(|(_, confirmed)| *confirmed);
        let ids = |answers: Vec<Answered>| answers.into_iter().map(|(id, _)| id).collect();
        let (confirmed, unsent): (Vec<Uuid>, Vec<Uuid>) = (ids(confirmed), ids(unsent));
        if !confirmed.is_empty()
            && let Err(error) = outbox.remove(&confirmed).await
        {
            warn!(%error, "confirmed messages stay in the outbox; they are sent again when old");
        }
        if !unsent.is_empty() {
            warn!(messages = unsent.len(), "the broker did not take messages; sending again");
            if let Err(error) = outbox.mark_unsent(&unsent).await {
                warn!(%error, "unsent messages can't be marked; they are sent again when old");
            }
        }
        outstanding.send_modify(|count| *count -= collected);
        tokio::time::sleep(COLLECT_PAUSE).await;
    }
}
