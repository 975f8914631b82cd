/**
 * Services that AWS's documentation names as principals of key policies: `<name>.amazonaws.com`, some with their Region
 * before the domain. No service calls Keyfleet, so a statement about one allows nobody anything here, just as in AWS
 * until the service calls. A name that is not on this list is a mistake that its author wants to know about.
 */
const awsServices = new Set(
  (
    'acm acm-pca airflow airflow-env amazonmq amplify apigateway appflow application-autoscaling apprunner appstream appsync athena ' +
    'autoscaling backup batch bedrock billing-cur budgets bugbust chatbot cloud9 cloudformation cloudfront cloudhsm cloudtrail ' +
    'cloudwatch codeartifact codebuild codecommit codedeploy codepipeline codestar-notifications cognito-identity cognito-idp ' +
    'comprehend config connect controltower costalerts dataexchange databrew datapipeline datasync dax delivery.logs dlm dms ds ' +
    'dynamodb ebs ec2 ecr ecs ecs-tasks edgelambda eks elasticache elasticbeanstalk elasticfilesystem elasticloadbalancing ' +
    'elasticmapreduce elastictranscoder emr-serverless es events export.rds finspace firehose fis forecast fsx gamelift glacier ' +
    'globalaccelerator glue grafana guardduty healthlake iam imagebuilder inspector inspector2 iot iotsitewise ivs kafka kendra ' +
    'keyspaces kinesis kinesisanalytics kinesisvideo kms lakeformation lambda lex lightsail location logger.cloudfront logs lookoutmetrics ' +
    'macie macie2 managedblockchain mediaconvert medialive mediastore memorydb mgn monitoring neptune network-firewall nimble ' +
    'omics opensearchservice opsworks organizations personalize pinpoint pipes polly qbusiness qldb quicksight ram rds redshift ' +
    'redshift-serverless rekognition resource-groups robomaker rolesanywhere route53 route53domains s3 sagemaker scheduler ' +
    'secretsmanager securityhub securitylake serverlessrepo servicecatalog servicediscovery ses shield signer snowball sns sqs ssm ' +
    'ssm-incidents sso states storagegateway streams.metrics.cloudwatch sts support swf synthetics textract timestream transcribe ' +
    'transfer translate verifiedpermissions voiceid vpc-flow-logs vpc-lattice waf wafv2 wellarchitected wisdom workmail workspaces ' +
    'workspaces-web xray'
  ).split(' '),
);

/** `logs.amazonaws.com`, `logs.us-east-1.amazonaws.com`, `dax.amazonaws.com.cn`. */
const principalForm = /^([a-z0-9-]+(?:\.[a-z0-9-]+)*?)(?:\.(?:[a-z]+-){2,3}\d+)?\.amazonaws\.com(?:\.cn)?$/;

export function isAwsService(principal: string): boolean {
  const [, name] = principalForm.exec(principal) ?? [];
  return name !== undefined && awsServices.has(name);
}
