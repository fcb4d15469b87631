//! Access to the console: sessions, log-ins, and what a reader may see.
//!
//! A person logs in with the admin token, or with a name and a password of `[admin.users]`, and receives a
//! session cookie. Without an admin token, the listener is open to this machine alone, and everyone there is
//! an editor. Every form carries the token of its session against forgery (CSRF).

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::domain::party::Party;
use crate::domain::phone_number::mask_written_numbers;
use crate::domain::secret::LiveSecret;
use crate::domain::user::{LiveUsers, PasswordHash, Role};
use crate::http::HttpProblem;
use crate::records::NumberPolicy;

/// Time after which a session without a request ends.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// Maximum age of a session.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Maximum number of sessions. A further one replaces the one whose last request is the oldest.
const MAX_SESSIONS: usize = 1_000;
/// Log-ins that one address may try at once; then one more every 12 seconds.
const ATTEMPTS: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(12);
/// Addresses whose attempts are remembered before old ones are forgotten.
const REMEMBERED_ADDRESSES: usize = 10_000;
/// Passwords that are hashed at the same time: each takes 19 MiB and some tens of milliseconds.
const PARALLEL_HASHES: usize = 2;

/// A hash that is verified if no user has the name, so that the time of the answer does not tell.
static NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| PasswordHash::new("", [0; 16]));

/// Decides who is let in, and what they may see.
pub(super) struct Access {
    token: LiveSecret,
    users: LiveUsers,
    reveal_numbers: bool,
    sessions: Sessions,
    attempts: DefaultKeyedRateLimiter<IpAddr>,
    hashing: Arc<Semaphore>,
}

/// Reason for which a person was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogInError {
    /// The name or the password is wrong.
    Wrong,
    /// Too many attempts from this address.
    TooMany,
}

/// The person of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// Someone on this machine, while there is no admin token.
    Local,
    /// A person with the admin token, by the hash of it.
    Token([u8; 32]),
    /// A user, with the hash of the PHC string of the password.
    User(Box<str>, [u8; 32]),
}

/// A person who reads a page.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    /// Name for pages and the audit log.
    pub(super) name: String,
    pub(super) role: Role,
    /// Token that forms carry.
    pub(super) csrf: String,
    /// How the person sees phone numbers.
    number_view: NumberView,
    /// Whether there is something to log out of.
    pub(super) can_log_out: bool,
}

/// Form in which a person sees phone numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberView {
    Whole,
    Masked,
}

impl NumberView {
    /// Returns a caller or called number.
    pub(super) fn party(self, text: &str) -> String {
        if self == NumberView::Whole || NumberPolicy::is_hidden(text) {
            return text.to_owned();
        }
        Party::parse(Some(text)).party.masked().into_owned()
    }

    /// Returns a text that may contain phone numbers.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        match self {
            NumberView::Whole => Cow::Borrowed(text),
            NumberView::Masked => Cow::Owned(mask_written_numbers(text)),
        }
    }
}

impl Reader {
    /// Returns whether this person sees whole phone numbers.
    pub(super) fn sees_numbers(&self) -> bool {
        self.number_view == NumberView::Whole
    }

    /// Returns how this person sees phone numbers.
    pub(super) fn number_view(&self) -> NumberView {
        self.number_view
    }

    /// Returns whether this person may change something.
    pub(super) fn is_editor(&self) -> bool {
        self.role == Role::Editor
    }

    /// Returns a caller or called number as this person may see it.
    pub(super) fn party(&self, text: &str) -> String {
        self.number_view.party(text)
    }

    /// Returns a text, in which phone numbers are masked unless this person may see them.
    pub(super) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.number_view.text(text)
    }

    /// Returns the first of these names that this person may see as a whole, for a field that proposes them.
    pub(super) fn whole_names<'n>(
        &self,
        names: impl Iterator<Item = &'n str>,
        most: usize,
    ) -> Vec<String> {
        let is_whole = |name: &&str| self.text(name) == **name;
        names.take(most).filter(is_whole).map(str::to_owned).collect()
    }

    /// Checks that a form carries the token of this person's session.
    pub(super) fn check_form(&self, csrf: &str) -> Result<(), HttpProblem> {
        match self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into() {
            true => Ok(()),
            false => Err(HttpProblem::Forbidden(
                "the form does not belong to this session: open the page again",
            )),
        }
    }
}

impl Access {
    pub(super) fn new(token: LiveSecret, users: LiveUsers, reveal_numbers: bool) -> Access {
        let quota = Quota::with_period(ATTEMPT_INTERVAL).expect("not zero").allow_burst(ATTEMPTS);
        Access {
            token,
            users,
            reveal_numbers,
            sessions: Sessions::default(),
            attempts: RateLimiter::keyed(quota),
            hashing: Arc::new(Semaphore::new(PARALLEL_HASHES)),
        }
    }

    /// Returns whether everyone on this machine is let in.
    pub(super) fn is_open(&self) -> bool {
        self.token.get().is_none()
    }

    /// Returns the person of a session cookie, if the session is still valid. Keeps it from ending.
    pub(super) fn reader(&self, cookie: &str) -> Option<Reader> {
        self.reader_of(self.sessions.find(cookie, true)?)
    }

    /// Returns the person of a session cookie, who may have left the page open and gone away.
    pub(super) fn reader_at_rest(&self, cookie: &str) -> Option<Reader> {
        self.reader_of(self.sessions.find(cookie, false)?)
    }

    fn reader_of(&self, session: Session) -> Option<Reader> {
        let role = self.role(&session.identity)?;
        let (name, can_log_out) = match &session.identity {
            Identity::Local => ("this machine".to_owned(), false),
            Identity::Token(_) => ("admin token".to_owned(), true),
            Identity::User(name, _) => (name.to_string(), true),
        };
        let number_view = match self.reveal_numbers || role == Role::Editor {
            true => NumberView::Whole,
            false => NumberView::Masked,
        };
        Some(Reader { name, role, csrf: session.csrf, number_view, can_log_out })
    }

    /// Returns the role of a person, or `None` if the reason for which the person was let in is gone.
    fn role(&self, identity: &Identity) -> Option<Role> {
        match identity {
            Identity::Local => self.is_open().then_some(Role::Editor),
            Identity::Token(hash) => {
                let token = self.token.get();
                let current = token.as_ref().map(|token| digest(token.expose()));
                (current == Some(*hash)).then_some(Role::Editor)
            }
            Identity::User(name, hash) => {
                let users = self.users.get();
                let user = users.iter().find(|user| user.name == *name)?;
                let current = digest(user.password_hash.as_str().as_bytes());
                (current == *hash).then_some(user.role)
            }
        }
    }

    /// Lets in someone on this machine, while there is no admin token. Returns the session cookie.
    pub(super) fn enter(&self) -> String {
        self.sessions.start(Identity::Local)
    }

    /// Lets in a person with a password, or with the admin token in place of both. Returns the session
    /// cookie.
    pub(super) async fn log_in(
        &self,
        name: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<String, LogInError> {
        if self.attempts.len() > REMEMBERED_ADDRESSES {
            self.attempts.retain_recent();
        }
        let address = network_of(address);
        self.attempts.check_key(&address).map_err(|_until| LogInError::TooMany)?;
        let identity = match name.is_empty() {
            true => self.by_token(password),
            false => self.by_password(name, password).await,
        };
        identity.map(|identity| self.sessions.start(identity)).ok_or(LogInError::Wrong)
    }

    fn by_token(&self, offered: &str) -> Option<Identity> {
        let token = self.token.get();
        let token = token.as_ref().filter(|token| token.equals(offered.as_bytes()))?;
        Some(Identity::Token(digest(token.expose())))
    }

    async fn by_password(&self, name: &str, password: &str) -> Option<Identity> {
        let user = self.users.get().iter().find(|user| *user.name == *name).cloned();
        let hash = user.as_ref().map_or_else(|| NOBODY.clone(), |user| user.password_hash.clone());
        let password = password.to_owned();
        let permit = self.hashing.clone().acquire_owned().await.ok()?;
        // Hashing would keep the thread from answering calls. It goes on, with its permit, if the request ends before.
        let verified = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            hash.verify(&password)
        });
        let verified = verified.await;
        let user = user.filter(|_| verified.unwrap_or(false))?;
        let hash = digest(user.password_hash.as_str().as_bytes());
        Some(Identity::User(user.name, hash))
    }

    pub(super) fn log_out(&self, cookie: &str) {
        self.sessions.end(cookie);
    }
}

/// Sessions by the hash of their cookie.
#[derive(Default)]
struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

#[derive(Clone)]
struct Session {
    identity: Identity,
    csrf: String,
    began: Instant,
    last_request: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.began) > MAX_AGE || now.duration_since(self.last_request) > IDLE
    }
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session and returns its cookie.
    fn start(&self, identity: Identity) -> String {
        let (cookie, csrf) = (random_text(), random_text());
        let now = Instant::now();
        let mut sessions = self.lock();
        sessions.retain(|_, session| !session.is_over(now));
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.last_request);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                sessions.remove(&hash);
            }
        }
        let session = Session { identity, csrf, began: now, last_request: now };
        sessions.insert(digest(cookie.as_bytes()), session);
        cookie
    }

    /// Returns a session. A request of a person, and nothing else, keeps it from ending.
    fn find(&self, cookie: &str, is_request: bool) -> Option<Session> {
        let now = Instant::now();
        let mut sessions = self.lock();
        let session = sessions.get_mut(&digest(cookie.as_bytes()))?;
        if session.is_over(now) {
            return None;
        }
        if is_request {
            session.last_request = now;
        }
        Some(session.clone())
    }

    fn end(&self, cookie: &str) {
        self.lock().remove(&digest(cookie.as_bytes()));
    }
}

/// Returns the addresses that one client may have: with IPv6, a whole /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Returns 256 random bits in hexadecimal digits.
fn random_text() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    hex::encode(bytes)
}
