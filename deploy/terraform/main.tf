# What ctverify needs to verify one trail, and nothing else: it reads the trail's bucket, asks CloudTrail, and writes its checkpoint to a
# bucket of its own.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "trail_bucket" {
  type        = string
  description = "The bucket that the trail delivers to"
}

variable "trail_prefix" {
  type        = string
  default     = ""
  description = "The key prefix before AWSLogs/, with a slash at its end; empty for none"
}

variable "state_bucket" {
  type        = string
  description = "The bucket that holds the checkpoint; not the trail's"
}

variable "state_key" {
  type        = string
  default     = "ctverify/checkpoint.json"
  description = "The key of the checkpoint"
}

variable "topic_arn" {
  type        = string
  default     = ""
  description = "The topic that is told with --notify sns:…; empty for none"
}

variable "trusted_service" {
  type        = string
  default     = ""
  description = "The service whose instances, tasks or pods run ctverify: ec2.amazonaws.com, ecs-tasks.amazonaws.com or pods.eks.amazonaws.com"
}

variable "trusted_principal" {
  type        = string
  default     = ""
  description = "The ARN of a role or a user that may assume the role"
}

variable "oidc_provider_arn" {
  type        = string
  default     = ""
  description = "The OIDC provider of GitHub's workflows, or of a cluster with roles for service accounts"
}

variable "oidc_issuer" {
  type        = string
  default     = "token.actions.githubusercontent.com"
  description = "That provider's issuer, without https://"
}

variable "oidc_subject" {
  type        = string
  default     = ""
  description = "Whose tokens are taken, such as repo:my-org/my-repo:ref:refs/heads/main, or system:serviceaccount:audit:ctverify"
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "assume" {
  dynamic "statement" {
    for_each = var.trusted_service == "" ? [] : [var.trusted_service]
    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]
      principals {
        type        = "Service"
        identifiers = [statement.value]
      }
    }
  }
  dynamic "statement" {
    for_each = var.trusted_principal == "" ? [] : [var.trusted_principal]
    content {
      actions = ["sts:AssumeRole"]
      principals {
        type        = "AWS"
        identifiers = [statement.value]
      }
    }
  }
  dynamic "statement" {
    for_each = var.oidc_provider_arn == "" ? [] : [var.oidc_provider_arn]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [statement.value]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc_issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc_issuer}:sub"
        values   = [var.oidc_subject]
      }
    }
  }
}

data "aws_iam_policy_document" "ctverify" {
  statement {
    sid = "FindTheTrailAndItsKeys"
    actions = [
      "cloudtrail:DescribeTrails",
      "cloudtrail:GetTrail",
      "cloudtrail:GetTrailStatus",
      "cloudtrail:ListPublicKeys",
      "account:ListRegions",
      "organizations:ListAccounts",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "ListTheTrail"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}"]
    # S3 says that an object does not exist only to those who may list; a request for one object has no prefix.
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = ["${var.trail_prefix}AWSLogs/*"]
    }
  }
  statement {
    sid       = "ExplainLosses"
    actions   = ["s3:GetLifecycleConfiguration"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}"]
  }
  statement {
    sid       = "ReadTheTrail"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.trail_bucket}/${var.trail_prefix}AWSLogs/*"]
  }
  statement {
    sid       = "FindTheCheckpoint"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}"]
    condition {
      test     = "StringLikeIfExists"
      variable = "s3:prefix"
      values   = [var.state_key]
    }
  }
  statement {
    sid       = "KeepTheCheckpoint"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.state_bucket}/${var.state_key}"]
  }
}

resource "aws_iam_role" "ctverify" {
  name               = "ctverify"
  description        = "Verifies CloudTrail log files with ctverify"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "ctverify" {
  name   = "ctverify"
  role   = aws_iam_role.ctverify.id
  policy = data.aws_iam_policy_document.ctverify.json
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "TellTheTopic"
    actions   = ["sns:Publish"]
    resources = [var.topic_arn]
  }
}

resource "aws_iam_role_policy" "topic" {
  count  = var.topic_arn == "" ? 0 : 1
  name   = "ctverify-topic"
  role   = aws_iam_role.ctverify.id
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_iam_instance_profile" "ctverify" {
  count = var.trusted_service == "ec2.amazonaws.com" ? 1 : 0
  name  = "ctverify"
  role  = aws_iam_role.ctverify.name
}

output "role_arn" {
  description = "The role to run ctverify with"
  value       = aws_iam_role.ctverify.arn
}
