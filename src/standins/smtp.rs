//! A mail server on loopback that takes mail by RFC 5321's rules and keeps it: commands in order, lines ended by CR LF, dots unstuffed.

use super::serve::{News, Served, bind, lock};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// Headers and body as they came, lines ended by `\n`.
    pub data: String,
}

impl Mail {
    /// The headers' lines, unfolded.
    pub fn headers(&self) -> Vec<String> {
        let head = self.data.split("\n\n").next().unwrap_or_default();
        head.replace("\n ", " ").replace("\n\t", " ").lines().map(str::to_owned).collect()
    }
}

#[derive(Debug, Default)]
struct MailBox {
    mails: Mutex<Vec<Mail>>,
    /// Answers to the next MAIL commands, instead of taking them.
    refusals: Mutex<Vec<&'static str>>,
    news: News,
}

#[derive(Debug)]
pub struct SmtpStandin {
    letters: Arc<MailBox>,
    server: Served,
}

impl SmtpStandin {
    pub async fn start() -> std::io::Result<Self> {
        let (listener, address) = bind().await?;
        let letters = Arc::new(MailBox::default());
        let task = tokio::spawn(accept(listener, letters.clone()));
        Ok(Self { letters, server: Served::new(address, task) })
    }

    pub fn url(&self) -> String {
        format!("smtp://{}", self.server.address)
    }

    /// Answers the next MAIL with this line, such as `451 try again later`.
    pub fn refuse_next(&self, line: &'static str) {
        lock(&self.letters.refusals).push(line);
    }

    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.letters.mails).clone()
    }

    /// Waits for the first Some of `look`, without sleeping.
    pub async fn until<T>(&self, patience: Duration, mut look: impl FnMut(&[Mail]) -> Option<T>) -> Option<T> {
        self.letters.news.until(patience, || look(&lock(&self.letters.mails))).await
    }
}

async fn accept(listener: TcpListener, letters: Arc<MailBox>) {
    let mut talks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let letters = letters.clone();
        talks.spawn(async move {
            if let Err(error) = talk(stream, &letters).await {
                tracing::debug!(%error, "a mail client left");
            }
        });
        while talks.try_join_next().is_some() {}
    }
}

async fn talk(stream: TcpStream, letters: &MailBox) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 stand-in ESMTP\r\n").await?;
    let (mut greeted, mut mail): (bool, Option<Mail>) = (false, None);
    while let Some(line) = read_line(&mut stream).await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" | "HELO" => {
                (greeted, mail) = (true, None);
                "250-stand-in\r\n250 8BITMIME"
            }
            "NOOP" => "250 ok",
            "RSET" => {
                mail = None;
                "250 ok"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "MAIL" if greeted && mail.is_none() => match (lock(&letters.refusals).pop(), address(&line, "FROM:")) {
                (Some(refusal), _) => refusal,
                (None, Some(from)) => {
                    mail = Some(Mail { from, ..Mail::default() });
                    "250 ok"
                }
                (None, None) => "501 expected MAIL FROM:<address>",
            },
            "RCPT" => match (&mut mail, address(&line, "TO:")) {
                (Some(mail), Some(to)) => {
                    mail.to.push(to);
                    "250 ok"
                }
                (None, _) => "503 MAIL first",
                (_, None) => "501 expected RCPT TO:<address>",
            },
            "DATA" => match mail.take().filter(|mail| !mail.to.is_empty()) {
                Some(mut taken) => {
                    stream.write_all(b"354 go on\r\n").await?;
                    taken.data = read_data(&mut stream).await?;
                    lock(&letters.mails).push(taken);
                    letters.news.tell();
                    "250 taken"
                }
                None => "503 MAIL and RCPT first",
            },
            _ => "503 not now, or not known",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn address(line: &str, after: &str) -> Option<String> {
    let rest = line.split_once(' ')?.1;
    let head = rest.get(..after.len()).filter(|head| head.eq_ignore_ascii_case(after))?;
    let inner = rest[head.len()..].trim_start().strip_prefix('<')?.split_once('>')?.0;
    Some(inner.to_owned())
}

/// One line without its CR LF. A bare LF breaks the protocol, and the connection with it.
async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    match bytes.strip_suffix(b"\r\n") {
        Some(line) if !line.contains(&b'\r') => Ok(Some(String::from_utf8_lossy(line).into_owned())),
        _ => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line without CR LF")),
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut data = String::new();
    while let Some(line) = read_line(stream).await? {
        if line == "." {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
        data.push('\n');
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
