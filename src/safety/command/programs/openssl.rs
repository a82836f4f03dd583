//! openssl: looking at certificates and connections reads; everything with a key does not.

use super::super::judge::{Judge, said};
use super::super::plan::Run;
use super::super::spec::{Operands, Program, low, safe};
use super::super::syntax::Word;
use super::by_table;
use crate::domain::DangerLevel::{High, Medium};

const SHOWN: &[(&str, crate::domain::DangerLevel, &str)] = &[
    ("-out= -keyout= -writerand= -sess_out= -keylogfile= -CAserial=", High, "writes a file"),
    ("-signkey= -key= -CAkey= -passin= -pass= -inkey= -cert= -cert_chain= -signer=", Medium, "uses a key"),
    ("-engine= -provider= -provider-path= -config= -conf= -proxy= -extfile=", High, "loads code or settings from elsewhere"),
];

static OPENSSL: Program = low("openssl", "").with(&[
    safe("version list ciphers errstr help", "-a -v -V -d -p -b -e -f -o -s -tls1_2 -tls1_3 -stdname -commands -digest-commands -cipher-commands").dashed(),
    // A certificate's own text; a key that is in the same file is never shown.
    low(
        "x509",
        "-in= -inform= -noout -text -dates -startdate -enddate -subject -issuer -fingerprint -serial -hash -subject_hash -issuer_hash -ocsp_uri -purpose -pubkey -modulus -email -ext= \
         -checkend= -checkhost= -checkip= -checkemail= -nameopt= -certopt= -sha256 -sha1 -md5 -nocert -alias -outform= -dateopt=",
    )
    .dashed()
    .raised(SHOWN),
    low(
        "s_client",
        "-connect=^ -servername=^ -showcerts -brief -starttls= -tls1 -tls1_1 -tls1_2 -tls1_3 -no_tls1 -no_tls1_1 -no_tls1_2 -no_tls1_3 -verify= -verify_return_error -verify_hostname= \
         -status -alpn= -cipher= -ciphersuites= -CAfile= -CApath= -4 -6 -quiet -ign_eof -no_ign_eof -prexit -state -host=^ -port= -msg -tlsextdebug -noservername -groups= -curves= -sigalgs= -name= -xmpphost= \
         -no_ticket -reconnect -serverinfo= -security_debug -crlf -nocommands",
    )
    .dashed()
    .on(Operands::Machines)
    .judged(client)
    .raised(SHOWN),
    low("crl req verify ocsp asn1parse", "-in=@ -inform= -noout -text -subject -issuer -lastupdate -nextupdate -fingerprint -CAfile= -CApath= -untrusted= -verify -partial_chain -purpose= -show_chain -i -pubkey -modulus -url=^ -host=^ -no_nonce -resp_text -VAfile= -hash -nameopt= -offset= -length= -dump")
        .dashed()
        .raised(&[
            ("-out= -keyout= -writerand= -new -x509 -newkey= -index= -rsigner= -rkey=", High, "writes a file, or makes a key"),
            ("-key= -passin= -signkey= -signer= -engine= -config= -cert=", High, "uses a key, or loads settings from elsewhere"),
        ]),
    low("dgst sha256 sha1 sha512 md5", "-sha256 -sha1 -sha512 -md5 -r -hex -c -binary").dashed().raised(SHOWN),
    super::super::spec::program("speed", Medium, "loads the machine for a while", "-evp= -seconds= -elapsed -bytes= -multi=").dashed(),
    program_of_keys(),
]);

const fn program_of_keys() -> Program {
    super::super::spec::program(
        "rsa ec dsa pkey pkcs8 pkcs12 pkcs7 genrsa genpkey gendsa ecparam dhparam enc rsautl pkeyutl passwd rand ca s_server s_time smime cms ts srp storeutl rehash engine spkac nseq kdf mac",
        High,
        "handles keys, or writes files",
        "",
    )
}

/// What comes down the pipe goes to whoever it connects to, this machine's own services included.
fn client(judge: &mut Judge, program: &'static Program, words: &[Word]) -> Run {
    if judge.piped {
        judge.note(&said(words), High, "sends whatever comes down the pipe");
    }
    by_table(judge, &mut vec![program], words, words)
}

pub fn judge(judge: &mut Judge, _: &Program, words: &[Word]) -> Run {
    if words.len() == 1 {
        judge.note(&said(words), Medium, "waits at a terminal");
        return Run::plain(words);
    }
    by_table(judge, &mut vec![&OPENSSL], words, words)
}
