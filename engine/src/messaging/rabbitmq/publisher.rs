//! Publishing with confirms. A message leaves the outbox when the broker has confirmed it, in
//! bulk and off the path of the lanes.

use std::sync::RwLock;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::{mpsc, watch};
use tracing::warn;
use uuid::Uuid;

use super::outbox::Outbox;
use crate::messaging::Outgoing;

/// Confirmations that may be waited for at once; publishing waits beyond that.
const UNCONFIRMED_MAX: usize = 10_000;

/// Delivery mode 2: the message is written to disk.
const PERSISTENT: u8 = 2;

/// How long closing waits for outstanding confirmations.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Pause between two statements that take confirmed messages out of the outbox: nobody waits for
/// it, and one statement takes out all that have come meanwhile.
const COLLECT_PAUSE: Duration = Duration::from_millis(50);

type Unconfirmed = (Uuid, PublisherConfirm);

/// The publishing end: a channel while there is a connection.
pub(super) struct Publisher {
    prefix: String,
    channel: RwLock<Option<Channel>>,
    unconfirmed: mpsc::Sender<Unconfirmed>,
    outbox: Outbox,
    /// Messages whose confirmation is not dealt with.
    outstanding: watch::Sender<usize>,
}

impl Publisher {
    /// A publisher without a channel yet, and the task that collects confirmations.
    pub(super) fn start(outbox: Outbox, prefix: String) -> Self {
        let (unconfirmed, confirmations) = mpsc::channel(UNCONFIRMED_MAX);
        let outstanding = watch::Sender::new(0);
        tokio::spawn(collect(confirmations, outbox.clone(), outstanding.clone()));
        Self { prefix, channel: RwLock::new(None), unconfirmed, outbox, outstanding }
    }

    /// Publishes on this channel from now on.
    pub(super) async fn attach(&self, channel: Channel) -> Result<(), lapin::Error> {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        *self.channel.write().expect("no holder panics") = Some(channel);
        Ok(())
    }

    pub(super) fn detach(&self) {
        *self.channel.write().expect("no holder panics") = None;
    }

    pub(super) fn is_attached(&self) -> bool {
        self.channel().is_some_and(|channel| channel.status().connected())
    }

    fn channel(&self) -> Option<Channel> {
        self.channel.read().expect("no holder panics").clone()
    }

    /// Publishes messages; those that can't be are marked unsent and stay in the outbox.
    pub(super) async fn publish(&self, outgoing: Outgoing) {
        let channel = self.channel();
        let mut unsent = Vec::new();
        let Outgoing { message_ids, queues, bodies } = outgoing;
        for ((message_id, queue), body) in message_ids.into_iter().zip(queues).zip(bodies) {
            match self.send(channel.as_ref(), &queue, &body).await {
                Some(confirm) => {
                    self.outstanding.send_modify(|count| *count += 1);
                    self.unconfirmed
                        .send((message_id, confirm))
                        .await
                        .expect("the collector lives as long as this publisher");
                }
                None => unsent.push(message_id),
            }
        }
        if !unsent.is_empty()
            && let Err(error) = self.outbox.mark_unsent(&unsent).await
        {
            warn!(%error, "unsent messages can't be marked; they are sent again when old");
        }
    }

    async fn send(
        &self,
        channel: Option<&Channel>,
        queue: &str,
        body: &str,
    ) -> Option<PublisherConfirm> {
        let name = format!("{}{queue}", self.prefix);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        channel?
            .basic_publish("".into(), name.as_str().into(), options, body.as_bytes(), properties)
            .await
            .ok()
    }

    /// Waits until everything published has been confirmed or given up, for a short while.
    pub(super) async fn drain(&self) {
        let mut outstanding = self.outstanding.subscribe();
        let drained = outstanding.wait_for(|count| *count == 0);
        let _ = tokio::time::timeout(DRAIN_MAX, drained).await; // the outbox keeps what is left
    }
}

async fn collect(
    mut confirmations: mpsc::Receiver<Unconfirmed>,
    outbox: Outbox,
    outstanding: watch::Sender<usize>,
) {
    let mut batch = Vec::new();
    loop {
        let collected = confirmations.recv_many(&mut batch, 500).await;
        if collected == 0 {
            return; // the publisher is gone
        }
        let answers = join_all(batch.drain(..).map(|(id, confirm)| async move {
            (id, matches!(confirm.await, Ok(Confirmation::Ack(None))))
        }));
        let (confirmed, unsent): (Vec<_>, Vec<_>) =
            answers.await.into_iter().partition(|(_, confirmed)| *confirmed);
        let ids = |answers: Vec<(Uuid, bool)>| answers.into_iter().map(|(id, _)| id).collect();
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
