//! The languages whose items are known. The grammars' node kinds differ enough between languages for one table.

use twin_text::code::Node;

/// Whether a node is a comment.
pub(super) fn is_comment(node: Node<'_>) -> bool {
    matches!(node.kind(), "comment" | "line_comment" | "block_comment")
}

/// Whether a node that is no comment belongs to the item after it.
pub(super) fn is_attribute(node: Node<'_>) -> bool {
    matches!(node.kind(), "attribute_item" | "inner_attribute_item" | "decorator")
}

/// The item inside its export or its decorators.
pub(super) fn unwrapped(node: Node<'_>) -> Node<'_> {
    let inner = match node.kind() {
        "decorated_definition" => node.child_by_field_name("definition"),
        "export_statement" => node.child_by_field_name("declaration").or_else(|| node.child_by_field_name("value")),
        "ambient_declaration" => node.named_child(0),
        _ => None,
    };
    inner.unwrap_or(node)
}

/// Whether a node is something that a person would ask for by its signature.
pub(super) fn is_item(node: Node<'_>) -> bool {
    let is_function_variable = || {
        let value = node.named_child(0).and_then(|declarator| declarator.child_by_field_name("value"));
        value.is_some_and(|value| matches!(value.kind(), "arrow_function" | "function_expression" | "class"))
    };
    match node.kind() {
        "lexical_declaration" | "variable_declaration" => is_function_variable(),
        kind => matches!(
            kind,
            "impl_item"
                | "function_item"
                | "struct_item"
                | "enum_item"
                | "union_item"
                | "trait_item"
                | "mod_item"
                | "macro_definition"
                | "function_definition"
                | "class_definition"
                | "class_declaration"
                | "abstract_class_declaration"
                | "interface_declaration"
                | "enum_declaration"
                | "record_declaration"
                | "function_declaration"
                | "generator_function_declaration"
                | "method_declaration"
                | "method_definition"
                | "constructor_declaration"
                | "type_declaration"
                | "type_alias_declaration"
        ),
    }
}

/// The part of an item that its signature leaves out.
pub(super) fn body(item: Node<'_>) -> Option<Node<'_>> {
    item.child_by_field_name("body").or_else(|| {
        let value = item.named_child(0)?.child_by_field_name("value")?;
        value.child_by_field_name("body")
    })
}

/// The node whose children are an item's members: only of items that hold others, never of functions.
pub(super) fn members(item: Node<'_>) -> Option<Node<'_>> {
    match item.kind() {
        "impl_item"
        | "trait_item"
        | "mod_item"
        | "class_definition"
        | "class_declaration"
        | "abstract_class_declaration"
        | "interface_declaration"
        | "enum_declaration"
        | "record_declaration" => item.child_by_field_name("body"),
        _ => None,
    }
}

/// What an item is called in a heading path.
pub(super) fn name(item: Node<'_>, text: &str) -> Option<String> {
    let named = item.child_by_field_name("name").or_else(|| item.child_by_field_name("type"));
    let named = named.or_else(|| item.named_child(0)?.child_by_field_name("name"))?;
    let name = &text[named.byte_range()];
    let name = &name[..name.floor_char_boundary(80)];
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}
