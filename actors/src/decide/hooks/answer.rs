//! What a hook's answer says. It is read leniently: of the document only `status.code`, `reason` and `message` count.

use serde_json::Value;

use crate::{api::CodeReasonMessage, world::HttpAnswer};

/// The hook is done.
pub(super) const OK: &str = "OK";
/// The hook failed this time.
pub(super) const ERROR: &str = "Error";
/// The hook is not done yet, as every code but these.
pub(super) const PROCESSING: &str = "Processing";

/// The longest message that status keeps, in bytes.
const MESSAGE_MAX: usize = 1024;

/// What the outcome of a call says.
pub(super) fn read(outcome: &Result<HttpAnswer, String>) -> CodeReasonMessage {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => return failure("DoRequestError", error.clone()),
    };
    if !matches!(answer.status, 200 | 201) {
        let shown = &answer.body[..answer.body.len().min(MESSAGE_MAX)];
        let body = String::from_utf8_lossy(shown);
        return failure(
            "HTTPResponseError",
            format!("HTTP probe failed with statuscode: {}, body: {body:?}", answer.status),
        );
    }
    match serde_json::from_slice(&answer.body) {
        Err(error) => failure("InternalError", format!("the answer is no JSON document: {error}")),
        Ok(document) => status(&document)
            .unwrap_or_else(|why| failure("InternalError", format!("the answer is no RolloutWebhookReview: {why}"))),
    }
}

fn status(document: &Value) -> Result<CodeReasonMessage, String> {
    if !document.is_object() {
        return Err("expected an object".to_owned());
    }
    let status = match &document["status"] {
        Value::Null => return Ok(CodeReasonMessage::default()),
        status if status.is_object() => status,
        _ => return Err("status: expected an object with code, reason and message".to_owned()),
    };
    let text = |field: &str| match &status[field] {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(format!("status.{field}: expected a string")),
    };
    Ok(CodeReasonMessage { code: text("code")?, reason: text("reason")?, message: shortened(text("message")?) })
}

fn failure(reason: &str, message: String) -> CodeReasonMessage {
    CodeReasonMessage { code: ERROR.to_owned(), reason: reason.to_owned(), message: shortened(message) }
}

/// A message of a length that status can bear.
pub(super) fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX));
        message.push_str("...");
    }
    message
}
