//! Templates, CloudFormation's and Terraform's: into the shapes that AWS would describe once they are applied.
//!
//! References that can be followed within the files are. What depends on any other is told, and closed where it decides who comes in.

mod actions;
mod cloudformation;
mod intrinsic;
mod plan;
mod resources;
mod snake;
mod terraform;
mod unresolved;

use serde_json::Value;

use super::model::Notes;
use cloudformation::Template;
use resources::Resources;
use terraform::Terraform;

/// The templates of all files.
#[derive(Debug, Default)]
pub(super) struct Templates {
    stacks: Vec<Template>,
    terraform: Terraform,
}

/// What AWS would describe.
#[derive(Debug, Default)]
pub(super) struct Described {
    /// Objects with `Listeners`, `Rules`, `TargetGroups` and so on, and the file that each comes from.
    pub(super) objects: Vec<(String, Value)>,
    /// What is to be told at the head of the configuration: of what, and what.
    pub(super) remarks: Vec<(String, String)>,
}

impl Templates {
    /// `false`: not a template.
    pub(super) fn add(&mut self, file: &str, document: &Value) -> Result<bool, String> {
        if let Some(stack) = Template::new(file, document, self.stacks.len() + 1) {
            self.stacks.push(stack);
            return Ok(true);
        }
        self.terraform.add(file, document)
    }

    pub(super) fn described(self, notes: &mut Notes) -> Described {
        let mut resources = Resources::default();
        cloudformation::resources(&self.stacks, &mut resources);
        self.terraform.resources(&mut resources);
        resources.described(notes)
    }
}
