//! What the items of the known languages are called. The grammars' node kinds differ enough between languages for
//! one table.

use twin_text::code::Node;

/// A name longer than this is cut: a path is for people and for the embedder's window.
const MAX_NAME_BYTES: usize = 80;

/// Whether a node belongs to the item after it.
pub(super) fn is_leading(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "comment" | "line_comment" | "block_comment" | "attribute_item" | "inner_attribute_item" | "decorator"
    )
}

/// The item inside its export, decorators or the like.
pub(super) fn unwrapped(node: Node<'_>) -> Node<'_> {
    let inner = match node.kind() {
        "decorated_definition" => node.child_by_field_name("definition"),
        "export_statement" => node.child_by_field_name("declaration").or_else(|| node.child_by_field_name("value")),
        "ambient_declaration" => node.named_child(0),
        // TypeScript's `namespace N { … }` is an expression to its grammar.
        "expression_statement" => node.named_child(0).filter(|inner| inner.kind() == "internal_module"),
        _ => None,
    };
    // An exported ambient namespace is wrapped twice; nothing is wrapped more often than three times.
    let Some(inner) = inner else { return node };
    let innermost = match inner.kind() {
        "ambient_declaration" => inner.named_child(0),
        "expression_statement" => inner.named_child(0).filter(|inner| inner.kind() == "internal_module"),
        _ => None,
    };
    innermost.unwrap_or(inner)
}

/// The node whose children are an item's members: only of items that hold others, never of functions.
pub(super) fn members(item: Node<'_>) -> Option<Node<'_>> {
    match item.kind() {
        "impl_item"
        | "trait_item"
        | "mod_item"
        | "foreign_mod_item"
        | "class_definition"
        | "class_declaration"
        | "abstract_class_declaration"
        | "class"
        | "interface_declaration"
        | "enum_declaration"
        | "record_declaration"
        | "annotation_type_declaration"
        | "internal_module"
        | "module" => item.child_by_field_name("body"),
        _ => None,
    }
}

/// What an item is called in a heading path: `impl Foo`, `def bar`.
pub(super) fn of(item: Node<'_>, text: &str) -> Option<String> {
    let field = |name| item.child_by_field_name(name).map(|node| short(node, text));
    let named = |keyword: &str| field("name").map(|name| format!("{keyword} {name}"));
    let called = || field("name").map(|name| format!("{name}()"));
    match item.kind() {
        "impl_item" => match (field("trait"), field("type")?) {
            (Some(implemented), target) => Some(format!("impl {implemented} for {target}")),
            (None, target) => Some(format!("impl {target}")),
        },
        "function_item" | "function_signature_item" => named("fn"),
        "struct_item" => named("struct"),
        "union_item" => named("union"),
        "enum_item" | "enum_declaration" => named("enum"),
        "trait_item" => named("trait"),
        "mod_item" => named("mod"),
        "macro_definition" => named("macro"),
        "function_definition" => named("def"),
        "class_definition" | "class_declaration" | "abstract_class_declaration" | "class" => named("class"),
        "interface_declaration" => named("interface"),
        "record_declaration" => named("record"),
        "annotation_type_declaration" => named("@interface"),
        "type_alias_declaration" => named("type"),
        "internal_module" => named("namespace"),
        "module" => named("module"),
        // Go's functions and JavaScript's have the same kind of node and another word.
        "function_declaration" if text[item.start_byte()..].starts_with("func ") => named("func"),
        "function_declaration" | "generator_function_declaration" | "function_signature" => named("function"),
        "method_declaration" if item.child_by_field_name("receiver").is_some() => {
            Some(format!("func {} {}", field("receiver")?, field("name")?))
        }
        "method_declaration"
        | "method_definition"
        | "method_signature"
        | "abstract_method_signature"
        | "constructor_declaration"
        | "compact_constructor_declaration" => called(),
        "type_declaration" => declared_name(item, text).map(|name| format!("type {name}")),
        "lexical_declaration" | "variable_declaration" => function_variable(item, text),
        _ => None,
    }
}

/// The name of Go's `type Name …`.
fn declared_name(item: Node<'_>, text: &str) -> Option<String> {
    let only = item.named_child(0).filter(|_| item.named_child_count() == 1)?;
    only.child_by_field_name("name").map(|name| short(name, text))
}

/// `const name = () => …`.
fn function_variable(item: Node<'_>, text: &str) -> Option<String> {
    let declarator = item.named_child(0)?;
    let value = declarator.child_by_field_name("value")?;
    let is_function = matches!(value.kind(), "arrow_function" | "function_expression" | "generator_function" | "class");
    let name = declarator.child_by_field_name("name").filter(|_| is_function)?;
    Some(format!("const {}", short(name, text)))
}

/// A node's text on one line, not too long.
fn short(node: Node<'_>, text: &str) -> String {
    let text = &text[node.byte_range()];
    let text = &text[..text.floor_char_boundary(MAX_NAME_BYTES)];
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
