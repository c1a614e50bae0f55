//! The certificate that the webhook shows.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Where a certificate and its key are.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// A certificate that is read again when its files change, as those of a mounted Secret do.
pub(super) struct Certificates {
    files: Files,
    read: Option<(SystemTime, SystemTime)>,
    acceptor: TlsAcceptor,
}

impl Certificates {
    /// Reads the files.
    pub(super) fn open(files: Files) -> Result<Self, String> {
        Ok(Self { read: files.modified(), acceptor: files.acceptor()?, files })
    }

    /// What accepts a connection now.
    pub(super) fn acceptor(&mut self) -> TlsAcceptor {
        let modified = self.files.modified();
        if modified != self.read {
            match self.files.acceptor() {
                Ok(acceptor) => {
                    tracing::info!(file = %self.files.certificate.display(), "the certificate is renewed");
                    (self.acceptor, self.read) = (acceptor, modified);
                }
                // Perhaps only one of the two files is written yet.
                Err(error) => tracing::warn!(error, "the certificate cannot be renewed, the former one stays in use"),
            }
        }
        self.acceptor.clone()
    }
}

impl Files {
    fn modified(&self) -> Option<(SystemTime, SystemTime)> {
        let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        Some((modified(&self.certificate)?, modified(&self.key)?))
    }

    fn acceptor(&self) -> Result<TlsAcceptor, String> {
        let bad = |path: &Path, why: String| format!("{}: {why}; name a file in PEM", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| bad(&self.certificate, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| bad(&self.key, error.to_string()))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                format!("{certificate} and {key}: {error}; name a certificate and its own key")
            })?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The files of a certificate in `dir` that its own authority, `ca.crt`, vouches for. They are made if they are not
/// there; the authority's key is kept nowhere, so that nobody can make another.
pub(super) fn self_signed(dir: &Path, hosts: &[String]) -> Result<Files, String> {
    let (files, authority) = (Files { certificate: dir.join("tls.crt"), key: dir.join("tls.key") }, dir.join("ca.crt"));
    if [&files.certificate, &files.key, &authority].into_iter().any(|path| path.exists()) {
        return Ok(files);
    }
    let (ca, certificate, key) = make(hosts).map_err(|error| format!("--host {}: {error}", hosts.join(" --host ")))?;
    let unwritten = |error: io::Error| format!("--self-signed {}: {error}; name a directory", dir.display());
    fs::create_dir_all(dir).map_err(unwritten)?;
    let mut private = fs::OpenOptions::new();
    private.write(true).create_new(true).mode(0o600);
    private.open(&files.key).and_then(|mut file| io::Write::write_all(&mut file, key.as_bytes())).map_err(unwritten)?;
    fs::write(&files.certificate, certificate).map_err(unwritten)?;
    fs::write(authority, ca).map_err(unwritten)?;
    Ok(files)
}

/// An authority, a certificate that it signed, and that one's key, in PEM.
fn make(hosts: &[String]) -> Result<(String, String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("slipway webhook authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named("slipway webhook");
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?;
    Ok((authority.pem(), certificate.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
    };

    use super::*;

    /// Whether a client that trusts this authority takes what the acceptor shows.
    async fn is_trusted(acceptor: TlsAcceptor, authority: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, server) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from("webhook.test").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let (connected, _) = tokio::join!(connector.connect(name, client), acceptor.accept(server));
        connected.is_ok()
    }

    /// Writes a file as one of that age, whatever the resolution of the file system's clock.
    fn write(path: &Path, text: &str, age: u64) {
        fs::write(path, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + age);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[tokio::test]
    async fn a_certificate_is_renewed_once_both_of_its_files_are() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
        let (first, second) =
            (make(&["webhook.test".to_owned()]).unwrap(), make(&["webhook.test".to_owned()]).unwrap());
        write(&files.certificate, &first.1, 1);
        write(&files.key, &first.2, 1);
        let (certificate, key) = (files.certificate.clone(), files.key.clone());
        let mut certificates = Certificates::open(files).unwrap();
        assert!(is_trusted(certificates.acceptor(), &first.0).await);
        assert!(!is_trusted(certificates.acceptor(), &second.0).await);
        write(&certificate, &second.1, 2);
        assert!(is_trusted(certificates.acceptor(), &first.0).await, "the key is still the former one's");
        write(&key, &second.2, 2);
        assert!(is_trusted(certificates.acceptor(), &second.0).await);
        assert!(!is_trusted(certificates.acceptor(), &first.0).await);
    }
}
