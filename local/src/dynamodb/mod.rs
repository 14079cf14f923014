//! The embedded DynamoDB: its operations over the store, in AWS's words and by AWS's rules.
