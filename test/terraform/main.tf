variable "endpoint" { type = string }
variable "later" {
  type    = string
  default = ""
}
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                  = "us-east-1"
  s3_use_path_style       = true
  skip_metadata_api_check = true
  endpoints {
    kms = var.endpoint
    iam = var.endpoint
    sts = var.endpoint
  }
}
data "aws_caller_identity" "me" {}
resource "aws_kms_key" "k" {
  description             = "from terraform"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  tags                    = { team = "a" }
}
resource "aws_kms_alias" "a" {
  name          = "alias/tf"
  target_key_id = aws_kms_key.k.key_id
}
resource "aws_iam_user" "u" {
  name = "tf-app"
  path = "/apps/"
  tags = { team = "a" }
}
resource "aws_iam_user" "v" {
  name          = "tf-other${var.later}"
  path          = "/apps/${var.later == "" ? "" : "later/"}"
  force_destroy = true
}
resource "aws_iam_access_key" "ak" { user = aws_iam_user.u.name }
resource "aws_iam_role" "r" {
  name               = "tf-role"
  description        = "from terraform${var.later}"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = aws_iam_user.u.arn } }] })
}
resource "aws_iam_policy" "p" {
  name   = "tf-policy"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["kms:Encrypt"], Resource = aws_kms_key.k.arn }] })
}
resource "aws_iam_role_policy_attachment" "ra" {
  role       = aws_iam_role.r.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_user_policy_attachment" "ua" {
  user       = aws_iam_user.u.name
  policy_arn = aws_iam_policy.p.arn
}
resource "aws_iam_user_policy" "up" {
  name   = "inline"
  user   = aws_iam_user.u.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = ["kms:ListKeys"], Resource = "*" }] })
}
resource "aws_iam_group" "g" { name = "tf-group${var.later}" }
resource "aws_iam_group_policy" "gp" {
  name   = "inline"
  group  = aws_iam_group.g.name
  policy = data.aws_iam_policy_document.lister.json
}
resource "aws_iam_policy_attachment" "pa" {
  name       = "exclusive"
  policy_arn = aws_iam_policy.e.arn
  users      = [aws_iam_user.u.name, aws_iam_user.v.name]
  groups     = [aws_iam_group.g.name]
}
resource "aws_iam_policy" "e" {
  name   = "tf-exclusive"
  policy = data.aws_iam_policy_document.lister.json
  tags   = { team = "a${var.later}" }
}
data "aws_iam_policy_document" "lister" {
  statement {
    actions   = ["kms:ListAliases", "kms:ListKeys${var.later == "" ? "" : "*"}"]
    resources = ["*"]
  }
}
data "aws_iam_user" "u" { user_name = aws_iam_user.u.name }
data "aws_iam_role" "r" { name = aws_iam_role.r.name }
data "aws_iam_group" "g" { group_name = aws_iam_group.g.name }
data "aws_iam_policy" "e" { arn = aws_iam_policy.e.arn }
data "aws_iam_users" "all" { depends_on = [aws_iam_user.u] }
data "aws_iam_roles" "all" { depends_on = [aws_iam_role.r] }
resource "aws_iam_user_group_membership" "m" {
  user   = aws_iam_user.u.name
  groups = [aws_iam_group.g.name]
}
resource "aws_kms_grant" "gr" {
  name              = "tf"
  key_id            = aws_kms_key.k.key_id
  grantee_principal = aws_iam_role.r.arn
  operations        = ["Encrypt", "Decrypt"]
}
output "who" { value = data.aws_caller_identity.me.arn }
