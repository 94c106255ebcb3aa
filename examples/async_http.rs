//! Async functions: what an HTTP service answered is kept for each organization. The service is a real
//! one, on this machine's loopback, and counts what it was asked.
#![expect(clippy::print_stdout, reason = "printing is what an example is for")]

use cacheado::{SharedCache, memoize};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

static CACHE: LazyLock<SharedCache> = LazyLock::new(SharedCache::new);
static ASKED: AtomicU64 = AtomicU64::new(0);

/// The service: organizations as JSON, but for one that it does not know.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    let slug = request.uri().path().trim_start_matches("/api/orgs/");
    let status = if slug == "nobody" { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let mut response = Response::new(Full::from(json!({ "slug": slug }).to_string()));
    *response.status_mut() = status;
    Ok(response)
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(connection);
    }
}

/// Why there is no answer. Shared by all who waited for the request, so it is `Clone`.
#[derive(Clone, Debug, thiserror::Error)]
enum Failure {
    #[error("the service said {0}")]
    Status(StatusCode),
    #[error("the request failed: {0}")]
    Http(Arc<dyn std::error::Error + Send + Sync>),
    #[error("the cache refused: {0}")]
    Cache(Arc<cacheado::Error>),
}

impl From<cacheado::Error> for Failure {
    fn from(error: cacheado::Error) -> Self {
        Self::Cache(Arc::new(error))
    }
}

fn http(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Http(Arc::new(error))
}

#[memoize(cache = CACHE, ttl = "3m", scope(organization = organization_id), key = org_slug)]
async fn fetch_org_data(
    service: SocketAddr,
    org_slug: &str,
    organization_id: &str,
) -> Result<Value, Failure> {
    let stream = TcpStream::connect(service).await.map_err(http)?;
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    tokio::spawn(connection);
    let request = Request::get(format!("/api/orgs/{org_slug}")).header("host", service.to_string());
    let request = request.body(Empty::<Bytes>::new()).map_err(http)?;
    let response = client.send_request(request).await.map_err(http)?;
    if !response.status().is_success() {
        return Err(Failure::Status(response.status()));
    }
    let body = response.into_body().collect().await.map_err(http)?.to_bytes();
    serde_json::from_slice(&body).map_err(http)
}

/// How often the service has been asked since it was last told.
fn asked() -> u64 {
    ASKED.swap(0, Ordering::Relaxed)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(http)?;
    let service = listener.local_addr().map_err(http)?;
    tokio::spawn(serve(listener));

    let requests: JoinSet<_> = (0..20).map(|_| fetch_org_data(service, "acme", "org1")).collect();
    for answer in requests.join_all().await {
        assert_eq!(answer?, json!({"slug": "acme"}));
    }
    assert_eq!(asked(), 1);
    println!("20 tasks at once: the service was asked once");

    fetch_org_data(service, "acme", "org2").await?;
    fetch_org_data(service, "acme", "org1").await?;
    assert_eq!(asked(), 1, "an organization does not get what another was told");

    for _ in 0..2 {
        let refused = fetch_org_data(service, "nobody", "org1").await;
        assert!(matches!(refused, Err(Failure::Status(StatusCode::NOT_FOUND))), "{refused:?}");
    }
    assert_eq!(asked(), 2, "a failure is not kept");

    CACHE.evict_scope([("organization", "org1")])?.await?;
    fetch_org_data(service, "acme", "org1").await?;
    fetch_org_data(service, "acme", "org2").await?;
    assert_eq!(asked(), 1, "what was evicted is asked for anew");

    let refused = fetch_org_data(service, "acme", "").await;
    let Err(why @ Failure::Cache(_)) = refused else { panic!("an empty id: {refused:?}") };
    assert_eq!(asked(), 0);
    println!("two organizations, one eviction; {why}");
    Ok(())
}
