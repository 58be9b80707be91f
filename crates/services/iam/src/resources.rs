//! CloudFormation types.
use sereno_kernel::Service;
pub fn all(service: Service) -> Service {
    service
}
